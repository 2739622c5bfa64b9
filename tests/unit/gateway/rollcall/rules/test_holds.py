"""Times in which a call stood still."""

from datetime import UTC, datetime, timedelta

from gateway.rollcall.records import RollCallRecord
from gateway.rollcall.rules.holds import freed, held, open_since, read, stood_still_s, together, told, went_on_s
from protocols.rollcall import RollCallKind, SessionState

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def test_a_hold_begins_once_and_ends_once():
    holds = held([], at(10))
    assert held(holds, at(20)) == holds, "a paused call that gives way is held on"
    assert open_since(holds) == at(10)
    done = freed(holds, at(40))
    assert done == [(at(10), at(40))]
    assert freed(done, at(50)) == done
    assert open_since(done) is None
    assert freed(holds, at(5)) == [(at(10), at(10))], "a clock that went back makes no hold of less than nothing"


def test_only_what_lies_after_the_first_ring_counts_for_a_point():
    holds = [(at(0), at(10)), (at(20), at(50)), (at(60), None)]
    assert stood_still_s(holds, at(-5)) == 40
    assert stood_still_s(holds, at(30)) == 20
    assert stood_still_s(holds, at(55)) == 0, "what is held now counts when it is over"


def test_the_time_in_which_it_went_on_leaves_out_all_holds_and_the_one_that_lasts():
    holds = [(at(0), at(10)), (at(20), at(50)), (at(60), None)]
    assert went_on_s([], at(5), at(65)) == 60
    assert went_on_s(holds, at(-5), at(55)) == 20
    assert went_on_s(holds, at(30), at(100)) == 10
    assert went_on_s(holds, at(70), at(100)) == 0


def test_they_outlast_the_store():
    call = RollCallRecord(
        "01", RollCallKind.DAILY, SessionState.PAUSED, "li", NOON, holds=[(at(0), at(1)), (at(2), None)]
    )
    assert RollCallRecord.read(call.row()).holds == call.holds
    assert RollCallRecord.read(call.row() | {"holds": None}).holds == []


def test_a_call_and_its_point_that_were_held_at_the_same_time_are_held_once():
    call, point = [(at(0), at(10)), (at(30), at(40))], [(at(5), at(20)), (at(40), at(50)), (at(60), None)]
    joined = together(call, point)
    assert joined == [(at(0), at(20)), (at(30), at(50)), (at(60), None)]
    assert together(point, call) == joined
    assert together([(at(0), None)], [(at(5), at(10))]) == [(at(0), None)]
    assert together([(at(0), at(5))], [(at(1), None)]) == [(at(0), None)]
    assert read(told(joined)) == joined
