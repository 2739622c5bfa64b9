"""Who is reminded and when: T, T+5, T+10, the feedback; gaps and clocks that were set back."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.orders.rules.deadlines import Plan, Reminder, next_reminder, ring_at

AT = datetime(2026, 7, 1, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAN = Plan(AT, 5 * MINUTE, 5 * MINUTE, 10 * MINUTE)
LONG = Plan(AT, 5 * MINUTE, 5 * MINUTE, 10 * MINUTE, feedback_within=60 * MINUTE)


def test_an_unsigned_order_climbs_three_steps_and_ends():
    told, seen = [], []
    while (due := next_reminder(PLAN, told, signed=False, reported=False)) is not None:
        told.append(due[0].value)
        seen.append((due[0], (due[1] - AT) // MINUTE))
    assert seen == [(Reminder.AGAIN, 5), (Reminder.LEADER, 10), (Reminder.HIGHER, 15)]


def test_whoever_signed_is_asked_for_the_feedback_alone():
    assert next_reminder(PLAN, [], signed=True, reported=False) is None
    assert next_reminder(LONG, [], signed=True, reported=False) == (Reminder.FEEDBACK, AT + 60 * MINUTE)
    assert next_reminder(LONG, [], signed=True, reported=True) is None
    assert next_reminder(LONG, ["feedback"], signed=True, reported=False) is None


def test_a_gateway_that_received_the_order_gives_only_its_own_reminders():
    here = (Reminder.AGAIN, Reminder.FEEDBACK)
    assert next_reminder(LONG, ["again"], signed=False, reported=False, here=here) == (
        Reminder.FEEDBACK,
        AT + 60 * MINUTE,
    )


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (AT + 5 * MINUTE, AT + 10 * MINUTE),
        (AT + 7 * MINUTE, AT + 10 * MINUTE),
        (AT + 40 * MINUTE, AT + 40 * MINUTE),  # nobody watched for half an hour: at once
        (AT - 60 * MINUTE, AT - 55 * MINUTE),  # the clock was set back an hour: no longer than the distance
    ],
)
def test_the_next_timer_is_neither_late_nor_long(now, expected):
    assert ring_at(PLAN, Reminder.AGAIN, Reminder.LEADER, now) == expected


def test_a_reminder_without_a_time_is_a_bug():
    with pytest.raises(AssertionError):
        ring_at(PLAN, Reminder.AGAIN, Reminder.FEEDBACK, AT)
