"""What is new, what is double, what is refused, and how long a gap waits."""

import itertools

from protocols.envelope import Lane
from protocols.ranges import Ranges
from protocols.receiver import GAP_PATIENCE_S, RECEIPT_RANGES, GapWatch, Held, judge
from protocols.uplink import Frame, Receipt, Refusal, VoidRange
from tests.support.events import NODE, alarm

EPOCH = "01JGFJJZ000000000000000001"
AT = "2026-01-01T00:00:00Z"


def frame(*seqs, voids=(), faults=()):
    records = [{"seq": seq, "event": alarm(seq).model_dump()} for seq in seqs]
    read = Frame.model_validate({"node": NODE, "epoch": EPOCH, "lane": "live", "records": records, "voids": voids})
    return read.model_copy(update={"faults": tuple(faults)})


def receipt(stored=(), **more):
    fields = {"node": "320600", "epoch": EPOCH, "lane": Lane.LIVE, "store_epoch": EPOCH, "at": AT}
    return Receipt(**{**fields, "stored": tuple(stored), **more})


def test_fresh_once_in_order_then_duplicates():
    intake = judge(frame(3, 1, 2, 2), Held())
    assert [one.seq for one in intake.fresh] == [1, 2, 3]
    assert intake.duplicates == 1
    again = judge(frame(1, 2, 3, 4), Held.from_json(intake.held.to_json()))
    assert [one.seq for one in again.fresh] == [4]
    assert again.receipt("320600", EPOCH, AT).stored == ((1, 4),)


def test_refusals_are_named_judged_anew_and_no_gap():
    intake = judge(frame(1, 3, faults=[Refusal(seq=2, code="bad_schema")]), Held())
    intake.refuse(3, "not_found", "x" * 5000)
    answer = intake.receipt("320600", EPOCH, AT)
    assert answer.stored == ((1, 1),)
    assert [(one.seq, one.code) for one in answer.refused] == [(2, "bad_schema"), (3, "not_found")]
    assert not intake.held.holes()
    later = judge(frame(3), Held.from_json(intake.held.to_json()))
    assert [one.seq for one in later.fresh] == [3]
    assert later.held.refused.to_list() == [[2, 2]]


def test_voids_close_holes_and_only_unknown_ones_are_gaps():
    intake = judge(frame(5, voids=[VoidRange(first=2, last=4, by=5), VoidRange(first=1, last=6)]), Held())
    assert [(one.first, one.last, one.by) for one in intake.voided] == [(2, 4, 5)]
    assert [(one.first, one.last) for one in intake.gaps] == [(1, 1), (6, 6)]
    assert intake.held.stored.to_list() == [[1, 6]]
    assert judge(frame(3), intake.held).duplicates == 1, "a withdrawn number stays withdrawn"


def test_void_range_that_ends_before_it_begins_is_ignored():
    assert not judge(frame(voids=[VoidRange(first=4, last=2, by=5)]), Held()).held.stored


def test_receipt_lists_the_newest_ranges_and_always_its_own_frame():
    held = Held(Ranges((n, n) for n in range(1, 1001, 2)))
    answer = judge(frame(4, 1003), held).receipt("320600", EPOCH, AT)
    assert answer.floor > 800
    assert len(answer.stored) <= 3 * RECEIPT_RANGES
    assert 4 in answer.ranges()
    assert 1003 in answer.ranges()
    assert answer.high == 1003


def test_gap_waits_is_asked_for_with_growing_pauses_and_is_forgotten():
    watch = GapWatch()
    watch.saw(NODE, receipt([(1, 3)]), 0.0)
    assert watch.deadline is None
    watch.saw(NODE, receipt([(1, 3), (6, 9)]), 10.0)
    assert watch.due(10.0 + GAP_PATIENCE_S - 0.1) == []
    assert watch.due(10.0 + GAP_PATIENCE_S) == [(NODE, EPOCH, Lane.LIVE, [[4, 5]])]
    watch.saw(NODE, receipt([(1, 3), (6, 12)]), 16.0)
    assert watch.due(16.0) == [], "an answer that brings nothing does not make us ask faster"
    asked = [at for at in range(16, 400) if watch.due(float(at))]
    assert asked[1] - asked[0] > 5
    assert max(b - a for a, b in itertools.pairwise(asked)) <= 61
    watch.saw(NODE, receipt([(1, 12)]), 400.0)
    assert watch.deadline is None
    watch.saw(NODE, receipt([(2, 12)]), 400.0)
    watch.forget(NODE)
    assert watch.deadline is None


def test_refused_numbers_and_what_lies_below_the_floor_are_no_gap():
    watch = GapWatch()
    watch.saw(NODE, receipt([(1, 3), (5, 9)], refused=(Refusal(seq=4, code="x"),)), 0.0)
    watch.saw(NODE, receipt([(700, 900)], floor=700, lane=Lane.URGENT), 0.0)
    assert watch.deadline is None
