import json
from datetime import UTC, datetime, timedelta

import pytest

from protocols.diary import (
    NODE_RECORD,
    NOTICE_S,
    PULSE_S,
    RECORD_BYTES,
    SPANS,
    Book,
    Diary,
    Ending,
    NodeRecord,
    Observation,
    dump,
    node_record,
)
from protocols.envelope import EVENT_BYTES, Event
from protocols.errors import BadSchemaError
from protocols.health import Verdict

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
NODE = "320623-box"


def at(seconds):
    return AT + timedelta(seconds=seconds)


def seen(seconds, **values):
    return Observation(**{"at": at(seconds), "boot_id": "b1", "network": True, "on_battery": False, **values})


def kept(diary):
    """The diary as the next process finds it."""
    return Diary(NODE, Book.model_validate_json(diary.book.model_dump_json(exclude_defaults=True)))


def running(seconds=60, diary=None, start=0, **values):
    diary = diary or Diary(NODE)
    for second in range(start, seconds, 5):
        diary.look(seen(second, **values))
    return diary


def test_as_long_as_nothing_changes_one_span_grows():
    diary = running(600)
    (span,) = diary.book.spans
    assert (span.began_at, span.ended_at) == (at(0), at(595))
    assert not diary.book.pending


def test_a_change_begins_a_span_at_once_and_must_be_kept():
    diary = running(60)
    diary.saved()
    diary.look(seen(60))
    assert not diary.changed
    diary.look(seen(65, on_battery=True, battery_ratio=0.9))
    assert diary.changed
    diary.look(seen(70, on_battery=True, battery_ratio=0.8))
    diary.look(seen(75, on_battery=True, battery_ratio=0.15))
    assert [(span.on_battery, span.battery_ratio) for span in diary.book.spans] == [
        (False, None), (True, 0.8), (True, 0.15),
    ]  # fmt: skip


def test_a_cut_line_gives_one_record_of_what_the_node_saw_meanwhile():
    diary = running(60)
    diary.link(up=True, at=at(1), event_id="0" * 26)
    assert not diary.book.pending, "a first link has nothing to tell"
    diary.link(up=False, at=at(57), event_id="1" * 26)
    running(300, diary, 60, cameras={"room": Verdict.LIVE})
    diary.link(up=True, at=at(300), event_id="2" * 26)
    (owed,) = diary.book.pending
    assert owed.event_id == "2" * 26
    assert (owed.record.began_at, owed.record.ended_at) == (at(57 - NOTICE_S), at(300)), "it notices late"
    assert [span.cameras for span in owed.record.spans] == [{}, {"room": Verdict.LIVE}]
    assert [span.cameras for span in owed.record.within(at(100), at(300))] == [{"room": Verdict.LIVE}]
    assert all(span.ending is None for span in owed.record.spans)
    diary.link(up=True, at=at(310), event_id="3" * 26)
    assert len(diary.book.pending) == 1, "told once"
    diary.settled("2" * 26)
    assert not diary.book.pending


@pytest.mark.parametrize(
    ("stopped", "boot_id", "ending"),
    [
        (False, "b2", Ending.REBOOT),
        (False, "b1", Ending.CRASH),
        (True, "b1", Ending.STOPPED),
        (True, "b2", Ending.STOPPED),
    ],
)
def test_a_node_that_was_away_says_how(stopped, boot_id, ending):
    before = running(60, on_battery=True, battery_ratio=0.1)
    before.link(up=True, at=at(1), event_id="0" * 26)
    if stopped:
        before.stop(at(56))
    diary = kept(before)
    diary.look(seen(600, boot_id=boot_id))
    diary.link(up=True, at=at(605), event_id="1" * 26)
    (owed,) = diary.book.pending
    first, silence, last = owed.record.spans
    assert (first.on_battery, first.battery_ratio) == (True, 0.1)
    assert (silence.began_at, silence.ended_at, silence.ending) == (at(55), at(600), ending)
    assert last.ending is None
    assert owed.record.within(at(100), at(101)) == (silence,)


def test_a_record_that_was_owed_when_the_node_died_is_still_owed_under_its_id():
    diary = running(60)
    diary.link(up=True, at=at(1), event_id="0" * 26)
    diary.link(up=False, at=at(30), event_id="1" * 26)
    diary.link(up=True, at=at(60), event_id="2" * 26)
    again = kept(diary)
    assert again.book.pending[0].event_id == "2" * 26


def test_a_process_that_was_stopped_by_the_machine_notices_the_pause():
    diary = running(60)
    diary.look(seen(60 + 3 * PULSE_S + 1))
    assert [span.ending for span in diary.book.spans] == [None, Ending.CRASH, None]


def test_a_clock_that_goes_back_ends_no_span_before_it_began():
    diary = kept(running(60))
    diary.look(seen(-100, boot_id="b2"))
    diary.look(seen(-95, boot_id="b2"))
    assert all(span.ended_at >= span.began_at for span in diary.book.spans)


def test_many_changes_stay_within_bounds_and_are_counted():
    diary = Diary(NODE)
    for second in range(0, 5 * (SPANS + 50), 5):
        diary.look(seen(second, on_battery=second % 2 == 0))
    assert len(diary.book.spans) == SPANS
    assert diary.joined == 50
    assert diary.book.spans[0].mixed
    assert diary.book.spans[0].began_at == at(0)


def test_a_record_always_fits_one_event():
    diary = Diary(NODE)
    diary.look(seen(0))
    diary.link(up=True, at=at(1), event_id="0" * 26)
    diary.link(up=False, at=at(2), event_id="1" * 26)
    cameras = {f"camera-{number}": Verdict.LIVE for number in range(20)}
    for second in range(5, 5 * SPANS, 5):
        diary.look(seen(second, on_battery=second % 2 == 0, cameras=cameras))
    diary.link(up=True, at=at(5 * SPANS), event_id="2" * 26)
    record = diary.book.pending[0].record
    assert len(json.dumps(dump(record))) <= RECORD_BYTES < EVENT_BYTES
    assert record.spans[0].mixed
    assert record.spans[-1].ended_at == at(5 * SPANS - 5)


def event(data, source=NODE):
    return Event(id="0" * 26, source=source, type=NODE_RECORD, time=AT, data=data, origincounter=1)


def test_a_record_reads_back_and_speaks_for_its_own_node_alone():
    record = NodeRecord(node=NODE, began_at=at(0), ended_at=at(9))
    assert node_record(event(dump(record))) == record
    with pytest.raises(BadSchemaError, match="comes from"):
        node_record(event(dump(record), "320681-box"))
    with pytest.raises(BadSchemaError):
        node_record(event({"node": NODE}))
