"""Turns: one ring per call, an answer that stands, a gap between attempts, and an end for everything."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.rollcall.machine import (
    GAP_S,
    LIFE_S,
    OPEN,
    REMEMBERED,
    Details,
    Stage,
    Turns,
    details_of,
    turn_of,
)
from protocols.command import CallRing, RollCallRing, RollCallStage
from protocols.errors import NotFoundError, WrongMomentError
from protocols.ids import ulid

NOW = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
WHO = Details(answered_by="王芳", leader="李强", people=3)
ONE, TWO, THREE = (ulid(number, bytes(10)) for number in (1, 2, 3))


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def roll_call(id_=ONE, **more):
    return turn_of(RollCallRing(roll_call_id=id_, centre="320623", camera="room", **more), NOW)


def call(id_=THREE):
    ring = CallRing(
        call_id=id_, centre="320623", camera="room", caller="张三", caller_centre="320600",
        caller_stream="320600/call", whep_url="http://127.0.0.1/whep", token="t",
    )  # fmt: skip
    return turn_of(ring, NOW)


def test_a_ring_rings_until_somebody_answers_and_the_answer_stands():
    turns = Turns()
    assert turns.rung(roll_call(), NOW).stage is Stage.RINGING
    assert turns.answered(ONE, WHO, later(3), by_person=True).stage is Stage.ANSWERED
    again = turns.rung(roll_call(challenge="4729"), later(9))
    assert (again.stage, again.details, again.answered_at, again.challenge) == (Stage.ANSWERED, WHO, later(3), "4729")
    assert turns.counters == {"rung": 1, "answered_person": 1}


def test_a_ring_that_comes_again_after_a_restart_of_the_gateway_is_the_same_attempt():
    turns = Turns()
    turns.rung(roll_call(), NOW, 1)
    turns.lapsed(ONE, later(5))
    again = turns.rung(roll_call(), later(9), 1)
    assert (again.stage, again.attempts, again.lapses_at) == (Stage.RINGING, 1, None)
    assert turns.rung(roll_call(), later(30), 2).attempts == 2
    assert turns.counters == {"rung": 1, "repeated": 1, "rung_again": 1}


def test_a_second_attempt_goes_on_with_the_same_ring():
    turns = Turns()
    turns.rung(roll_call(), NOW)
    turns.lapsed(ONE, later(30))
    assert turns.deadline == later(30 + GAP_S)
    again = turns.rung(turn_of(RollCallRing(roll_call_id=ONE, centre="320623", camera="room"), later(31)), later(31))
    assert (again.attempts, again.rung_at, again.lapses_at) == (2, NOW, None)
    assert turns.tick(later(30 + GAP_S)) == []


def test_nobody_came():
    turns = Turns()
    turns.rung(roll_call(), NOW)
    turns.lapsed(ONE, later(30))
    assert turns.tick(later(29 + GAP_S)) == []
    (missed,) = turns.tick(later(30 + GAP_S))
    assert (missed.stage, missed.ending, missed.open) == (Stage.MISSED, "no_answer", False)
    with pytest.raises(WrongMomentError, match="missed"):
        turns.answered(ONE, WHO, later(60), by_person=True)
    assert turns.counters["missed"] == 1


def test_an_answer_between_two_attempts_is_kept_for_the_second():
    turns = Turns()
    turns.rung(roll_call(), NOW)
    turns.lapsed(ONE, later(30))
    turns.answered(ONE, WHO, later(33), by_person=True)
    assert turns.tick(later(30 + GAP_S)) == []
    assert turns.rung(roll_call(), later(34)).stage is Stage.ANSWERED


def test_another_roll_call_replaces_the_one_before_and_a_call_stands_beside_it():
    turns = Turns()
    turns.rung(roll_call(ONE), NOW)
    turns.rung(call(), later(1))
    turns.rung(roll_call(TWO), later(2))
    assert {turn.id: turn.stage for turn in turns.all} == {
        ONE: Stage.MISSED,
        THREE: Stage.RINGING,
        TWO: Stage.RINGING,
    }
    assert turns.ringing.id == TWO


def test_the_stage_is_the_centres_word():
    turns = Turns()
    turns.rung(roll_call(), NOW)
    told = RollCallStage(roll_call_id=ONE, centre="320623", camera="room", stage="on", muted=False, challenge="0815")
    assert turns.staged(told, later(1)).stage is Stage.RINGING, "nobody stands on stage before an answer"
    turns.answered(ONE, WHO, later(2), by_person=True)
    on = turns.staged(told, later(3))
    assert (on.stage, on.muted, on.challenge) == (Stage.ON_STAGE, False, "0815")
    assert turns.staged(told.model_copy(update={"stage": "off", "muted": True}), later(4)).stage is Stage.ANSWERED
    over = turns.staged(told.model_copy(update={"stage": "over", "state": "passed"}), later(5))
    assert (over.stage, over.ending) == (Stage.OVER, "passed")
    assert turns.staged(told, later(6)) is None
    assert turns.staged(told.model_copy(update={"roll_call_id": TWO}), later(6)) is None


def test_whoever_answered_the_roll_call_has_answered_its_caller():
    turns = Turns()
    assert not turns.talks
    turns.rung(roll_call(), NOW)
    assert not turns.talks
    turns.answered(ONE, WHO, later(1), by_person=True)
    assert (turns.talks, turns.answerer) == (True, "王芳")
    turns.over(ONE, "over", later(2))
    assert (turns.talks, turns.answerer) == (False, "")


def test_a_roll_call_is_never_declined():
    turns = Turns()
    turns.rung(roll_call(), NOW)
    with pytest.raises(WrongMomentError):
        turns.declined(ONE, NOW)
    turns.rung(call(), NOW)
    assert turns.declined(THREE, NOW).stage is Stage.DECLINED
    with pytest.raises(WrongMomentError):
        turns.declined(THREE, NOW)
    with pytest.raises(NotFoundError):
        turns.answered(TWO, WHO, NOW, by_person=True)


def test_details_can_be_bettered_and_go_up():
    turns = Turns()
    turns.rung(roll_call(), NOW)
    turns.answered(ONE, Details(answered_by="自动应答"), NOW, by_person=False)
    turn = turns.answered(ONE, WHO, later(5), by_person=True)
    assert turn.by_person
    told = details_of(turn, later(5))
    assert (told.roll_call_id, told.centre, told.answered_by, told.leader, told.people) == (
        ONE, "320623", "王芳", "李强", 3,
    )  # fmt: skip
    assert turns.counters == {"rung": 1, "answered_box": 1}


def test_a_turn_of_which_nothing_is_heard_ends():
    turns = Turns()
    turns.rung(roll_call(), NOW)
    turns.answered(ONE, WHO, NOW, by_person=True)
    (ended,) = turns.tick(later(LIFE_S))
    assert (ended.stage, ended.ending, turns.deadline) == (Stage.OVER, "silent", None)


def test_what_was_kept_goes_on():
    before = Turns()
    before.rung(roll_call(), NOW)
    after = Turns(before.all)
    assert after.ringing.id == ONE
    assert after.answered(ONE, WHO, later(1), by_person=True).stage is Stage.ANSWERED


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ring", "lapse", "answer", "on", "off", "over", "decline", "tick"]),
        st.integers(1, 30),
        st.integers(0, 40),
    ),
    max_size=60,
)


@given(STEPS)
def test_at_most_one_of_a_kind_goes_on_and_an_ended_turn_stays_ended(steps):
    turns, now, ended = Turns(), NOW, {}
    for step, number, seconds in steps:
        now += timedelta(seconds=seconds)
        id_ = ulid(number, bytes(10))
        told = RollCallStage(roll_call_id=id_, centre="320623", camera="room", stage="on")
        try:
            match step:
                case "ring":
                    ended.pop(id_, None)
                    turns.rung(roll_call(id_) if number % 2 else call(id_), now)
                case "lapse":
                    turns.lapsed(id_, now)
                case "answer":
                    turns.answered(id_, WHO, now, by_person=True)
                case "decline":
                    turns.declined(id_, now)
                case "tick":
                    turns.tick(now)
                case _:
                    turns.staged(told.model_copy(update={"stage": step}), now)
        except (NotFoundError, WrongMomentError):
            pass
        open_kinds = [turn.kind for turn in turns.open()]
        assert len(open_kinds) == len(set(open_kinds))
        assert len(turns.all) <= REMEMBERED
        for turn in turns.all:
            assert ended.get(turn.id, turn.stage) == turn.stage
            assert (turn.ended_at is None) == (turn.stage in OPEN)
            if not turn.open:
                ended[turn.id] = turn.stage
