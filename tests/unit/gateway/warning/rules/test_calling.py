"""Calling one post until somebody answers, on a clock that is only an argument."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.warning.rules.calling import (
    ANSWER_WITHIN,
    CallPhase,
    Confirmation,
    Ring,
    SendSomebody,
    Way,
    begin,
    confirm,
    end,
    is_called,
    is_called_again,
    late_by,
    ring,
)
from protocols.errors import WrongMomentError
from protocols.event_codes import EventClass

NOW = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
FIVE = ANSWER_WITHIN


def answer(at=NOW, by="张三", way=Way.LINK):
    return Confirmation(by, at, way)


def test_nobody_answers_and_somebody_goes_there():
    call, effect = begin(2, NOW, FIVE)
    assert (effect, call.due_at) == (Ring(0), NOW + FIVE)
    assert ring(call, NOW + FIVE - timedelta(microseconds=1), FIVE) == (call, None)
    call, effect = ring(call, NOW + FIVE, FIVE)
    assert (effect, call.due_at) == (Ring(1), NOW + 2 * FIVE)
    call, effect = ring(call, NOW + 2 * FIVE, FIVE)
    assert (effect, call.phase, call.due_at) == (SendSomebody(), CallPhase.DOOR, None)
    assert ring(call, NOW + 9 * FIVE, FIVE) == (call, None)


def test_an_answer_ends_the_calling_and_the_first_one_stands():
    call, _ = begin(2, NOW, FIVE)
    call = confirm(call, answer())
    assert (call.phase, call.due_at) == (CallPhase.CONFIRMED, None)
    assert confirm(call, answer(NOW + FIVE, "李四")) == call
    assert ring(call, NOW + FIVE, FIVE) == (call, None)


def test_a_person_who_answers_late_still_confirms():
    call, _ = begin(1, NOW, FIVE)
    call, _ = ring(call, NOW + FIVE, FIVE)
    assert confirm(call, answer(NOW + 2 * FIVE)).phase is CallPhase.CONFIRMED


def test_a_deadline_that_comes_late_takes_one_step_and_gives_the_whole_time():
    call, _ = begin(3, NOW, FIVE)
    late = NOW + timedelta(hours=1)
    call, effect = ring(call, late, FIVE)
    assert (effect, call.due_at) == (Ring(1), late + FIVE)


def test_after_the_end_nothing_is_confirmed_any_more():
    call, _ = begin(1, NOW, FIVE)
    ended = end(call)
    assert (ended.phase, ended.due_at) == (CallPhase.ENDED, None)
    with pytest.raises(WrongMomentError):
        confirm(ended, answer())
    confirmed = confirm(call, answer())
    assert end(confirmed) == confirmed


@given(st.integers(1, 10), st.lists(st.integers(0, 2000), max_size=40))
def test_whatever_the_clock_does_each_person_is_called_once_in_order(persons, steps):
    call, effect = begin(persons, NOW, FIVE)
    told, now = [effect], NOW
    for step in steps:
        now += timedelta(seconds=step)
        call, effect = ring(call, now, FIVE)
        told += [effect] if effect else []
    rings = [one.step for one in told if isinstance(one, Ring)]
    assert rings == list(range(len(rings)))
    assert (SendSomebody() in told) == (call.phase is CallPhase.DOOR)
    assert (call.due_at is not None) == (call.phase is CallPhase.CALLING)


@pytest.mark.parametrize(
    ("code", "colour", "tornado", "called"),
    [
        ("11B03", 1, False, True),
        ("11B03", 2, False, True),
        ("11B03", 3, False, False),
        ("11B31", 4, False, True),
        ("11B03", 3, True, True),
        (None, 4, False, False),
    ],
)
def test_which_warnings_are_called(code, colour, tornado, called):
    assert is_called(EventClass(code, "x"), colour, tornado=tornado) is called


def test_an_update_calls_anew_only_where_it_is_graver():
    assert is_called_again(2, None)
    assert is_called_again(1, 2)
    assert not is_called_again(2, 2)
    assert not is_called_again(3, 1)


def test_an_answer_after_the_posts_time_is_late_whoever_of_the_chain_gives_it():
    call, _ = begin(2, NOW, FIVE)
    assert late_by(call, FIVE) is None, "nobody has answered"
    assert late_by(confirm(call, answer(NOW + FIVE)), FIVE) is None, "in the last moment"
    second = timedelta(seconds=1)
    assert late_by(confirm(call, answer(NOW + FIVE + second)), FIVE) == second
    following, _ = ring(call, NOW + FIVE, FIVE)
    stamped = confirm(following, answer(NOW + FIVE + 90 * second, by="李四"))
    assert late_by(stamped, FIVE) == 90 * second
    assert late_by(confirm(stamped, answer(NOW)), FIVE) == 90 * second, "a repeat takes it away from nobody"
    assert late_by(end(following), FIVE) is None
