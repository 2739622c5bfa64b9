"""The state of one alarm: whatever the order of arrival, the same events end in the same state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.machine import (
    Acknowledgement,
    AlarmState,
    Change,
    Escalated,
    Reopened,
    Shelf,
    Word,
    acknowledge,
    apply,
    escalate,
    flapping,
    reopen,
    say,
    shelve,
    show,
)
from protocols.alarm import AlarmData, Condition, Severity, Visibility
from protocols.errors import BadInputError, WrongMomentError

T0 = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def change(counter: int, condition: Condition = Condition.ACTIVE, count: int = 1) -> Change:
    at = T0 + timedelta(seconds=counter)
    data = AlarmData(
        alarm_key="gas-1/high",
        centre="320623",
        sensor="gas-1",
        severity=Severity.RED,
        headline=f"燃气浓度过高 {counter}",
        observed_at=at,
        count=count,
    )
    return Change(counter, condition, data, at, at)


def ack(upto: int, seconds: float = 0, centre: str = "320600") -> Acknowledgement:
    return Acknowledgement("duty", T0 + timedelta(seconds=seconds), centre, upto)


def run(changes: list[Change], known: list[Acknowledgement] | None = None) -> AlarmState:
    state: AlarmState | None = None
    for one in changes:
        state = apply(state, one, known or ()) or state
    assert state is not None
    return state


def test_a_raise_opens_and_a_repeat_counts_up() -> None:
    state = run([change(1), change(2, count=40)])
    assert (state.condition, state.count, state.opened, state.applied) == (Condition.ACTIVE, 41, 1, 2)
    assert state.first_raised_at == T0 + timedelta(seconds=1)


def test_a_late_older_record_changes_nothing() -> None:
    state = run([change(5)])
    assert apply(state, change(4, Condition.CLEARED)) is None
    assert apply(state, change(5)) is None


def test_a_raise_after_a_clear_opens_anew_and_waits_for_a_person_again() -> None:
    state = run([change(1)])
    state = acknowledge(state, ack(1)) or state
    assert state.acknowledged is not None
    state = apply(state, change(2, Condition.CLEARED)) or state
    assert state.acknowledged is not None
    state = apply(state, change(3)) or state
    assert (state.acknowledged, state.opened, state.count) == (None, 3, 1)


def test_an_acknowledgement_of_the_last_episode_does_not_silence_the_new_one() -> None:
    state = run([change(1), change(2, Condition.CLEARED), change(3)])
    assert acknowledge(state, ack(2)) is None


def test_an_acknowledgement_that_came_before_its_raise_counts() -> None:
    assert run([change(1)], [ack(1)]).acknowledged == ack(1)
    assert run([change(2)], [ack(1)]).acknowledged is None


def test_the_earliest_acknowledgement_counts_at_every_tier() -> None:
    early, late = ack(1, 1, "320623"), ack(1, 9)
    state = run([change(1)])
    one = acknowledge(acknowledge(state, late) or state, early)
    other = acknowledge(state, early) or state
    assert one is not None
    assert acknowledge(other, late) is None
    assert one.acknowledged == other.acknowledged == early


conditions = st.sampled_from(Condition)


@given(st.lists(st.tuples(conditions, st.integers(1, 9)), min_size=1, max_size=12), st.randoms())
def test_the_newest_event_decides_the_condition_whatever_the_order(events, chance) -> None:
    changes = [change(number, condition, count) for number, (condition, count) in enumerate(events, 1)]
    shuffled = list(changes)
    chance.shuffle(shuffled)
    state = run(shuffled)
    newest = changes[-1]
    assert (state.condition, state.applied, state.data) == (newest.condition, newest.counter, newest.data)


@given(st.lists(st.integers(0, 6), max_size=6), st.randoms())
def test_acknowledgements_end_the_same_whatever_the_order(uptos, chance) -> None:
    acks = [ack(upto, seconds=number) for number, upto in enumerate(uptos)]
    state = run([change(3)], acks)
    other = run([change(3)])
    chance.shuffle(acks)
    for one in acks:
        other = acknowledge(other, one) or other
    assert state.acknowledged == other.acknowledged
    assert (state.acknowledged is None) == (not any(upto >= 3 for upto in uptos))


def yellow(counter: int, severity: Severity = Severity.YELLOW, condition: Condition = Condition.ACTIVE) -> Change:
    found = change(counter, condition)
    return replace(found, data=found.data.model_copy(update={"severity": severity}))


def shelf(minutes: float | None = 30, severity: Severity = Severity.YELLOW) -> Shelf:
    until = None if minutes is None else T0 + timedelta(minutes=minutes)
    return Shelf("duty", T0, until, "检修", severity)


def test_a_shelved_alarm_is_hidden_until_its_time() -> None:
    state = shelve(run([yellow(1)]), shelf())
    assert state.visibility is Visibility.SHELVED
    assert show(state, T0 + timedelta(minutes=29)) is None
    shown = show(state, T0 + timedelta(minutes=30))
    assert shown is not None
    assert shown.visibility is Visibility.SHOWN
    assert show(shown) is None


def test_out_of_service_has_no_end_of_its_own() -> None:
    state = shelve(run([yellow(1)]), shelf(None))
    assert state.visibility is Visibility.OUT_OF_SERVICE
    assert show(state, T0 + timedelta(days=999)) is None
    assert show(state) is not None


def test_hiding_outlives_episodes_but_not_a_graver_raise() -> None:
    state = shelve(run([yellow(1)]), shelf())
    for one in (yellow(2, condition=Condition.CLEARED), yellow(3)):
        state = apply(state, one) or state
    assert state.visibility is Visibility.SHELVED
    graver = apply(state, yellow(4, Severity.ORANGE))
    assert graver is not None
    assert graver.visibility is Visibility.SHOWN


def test_red_alarms_and_bad_times_are_refused() -> None:
    with pytest.raises(WrongMomentError, match="red"):
        shelve(run([change(1)]), shelf(severity=Severity.RED))
    for minutes in (0, -1, 24 * 60 + 1):
        with pytest.raises(BadInputError):
            shelve(run([yellow(1)]), shelf(minutes))


def test_four_openings_in_ten_minutes_flap() -> None:
    state = run([yellow(n, condition=Condition.CLEARED if n % 2 == 0 else Condition.ACTIVE) for n in range(1, 8)])
    assert len(state.openings) == 4
    assert flapping(state.openings, T0 + timedelta(seconds=8))
    assert not flapping(state.openings, T0 + timedelta(minutes=11))
    assert not flapping(state.openings[1:], T0 + timedelta(seconds=8))


def handed(upto: int, seconds: float, centre: str = "320623", to: str = "320600") -> Escalated:
    return Escalated("chain", T0 + timedelta(seconds=seconds), centre, to, "no acknowledgement", upto)


def test_a_reopening_voids_what_was_acknowledged_before_it_and_nothing_after() -> None:
    state = say(run([change(1)]), ack(1, seconds=5)) or run([])
    again = reopen(state, Reopened(T0 + timedelta(seconds=9), 1))
    assert again is not None
    assert again.acknowledged is None
    assert acknowledge(again, ack(1, seconds=9)) is None
    later = acknowledge(again, ack(1, seconds=10))
    assert later is not None
    assert later.acknowledged == ack(1, seconds=10)
    assert reopen(later, Reopened(T0 + timedelta(seconds=9), 1)) is None


def test_words_of_an_earlier_episode_change_nothing() -> None:
    state = run([change(1), change(2, Condition.CLEARED), change(3)])
    assert reopen(state, Reopened(T0, 2)) is None
    assert escalate(state, handed(2, 1)) is None


@given(st.permutations([ack(1, 5), ack(1, 12), Reopened(T0 + timedelta(seconds=9), 1), handed(1, 1), handed(1, 4)]))
def test_words_in_any_order_even_before_the_raise_end_in_the_same_state(words: list[Word]) -> None:
    state = run([change(1)])
    for number, word in enumerate(words):
        state = say(state, word, words[:number]) or state
    early = run([change(1)], words)
    for one in (state, early):
        assert one.acknowledged == ack(1, 12)
        assert one.escalated == handed(1, 4)
