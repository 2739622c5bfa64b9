from datetime import UTC, datetime

from edge_agent.rollcall.machine import Details, Turns, turn_of
from edge_agent.rollcall.overlay import numbers
from protocols.command import RollCallRing, RollCallStage

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
CALL = "0" * 26


def rung(turns, challenge=None, call=CALL):
    ring = RollCallRing(roll_call_id=call, centre="320623", camera="room", challenge=challenge)
    turns.rung(turn_of(ring, AT), AT)
    turns.answered(call, Details(answered_by="甲"), AT, by_person=True)


def staged(turns, **values):
    turns.staged(RollCallStage(roll_call_id=CALL, centre="320623", camera="room", **values), AT)


def test_a_number_is_shown_from_the_answer_to_the_end():
    turns = Turns()
    ring = RollCallRing(roll_call_id=CALL, centre="320623", camera="room", challenge="0815")
    turns.rung(turn_of(ring, AT), AT)
    assert numbers(turns) == {}, "nobody has answered yet"
    turns.answered(CALL, Details(answered_by="甲"), AT, by_person=True)
    assert numbers(turns) == {"320623/room": "0815"}
    staged(turns, stage="over")
    assert numbers(turns) == {}


def test_a_number_that_comes_later_is_shown_and_a_call_without_one_shows_nothing():
    turns = Turns()
    rung(turns)
    assert numbers(turns) == {}
    staged(turns, stage="off", challenge="4711")
    assert numbers(turns) == {"320623/room": "4711"}


def test_what_is_no_number_of_four_digits_is_not_drawn():
    for strange in ("12", "12345", "abcd", "１２３４"):
        turns = Turns()
        rung(turns, strange)
        assert numbers(turns) == {}
