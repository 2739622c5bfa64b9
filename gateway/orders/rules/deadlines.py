"""Until when a unit signs for an order and reports, and who is reminded when it does not (domain.md 4). Pure.

Unsigned at T the words go out again on the next channel, at T+5 min to the unit's duty leader, at T+10 min to those
who lead the duty of the issuer; a feedback that is due is asked for once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Reminder(StrEnum):
    """Who is reminded, in the order of time."""

    AGAIN = "again"  # the unit's officers, on the next channel
    LEADER = "leader"  # the unit's duty leader
    HIGHER = "higher"  # who leads the duty at the issuer
    FEEDBACK = "feedback"  # the unit's officers: the feedback is due


@dataclass(frozen=True, slots=True)
class Plan:
    """The times of one order, from its sending on."""

    sent_at: datetime
    ack_within: timedelta
    leader_after: timedelta
    higher_after: timedelta
    feedback_within: timedelta | None = None

    def at(self, reminder: Reminder) -> datetime | None:
        """Return when a reminder is due, None for a feedback without a deadline."""
        match reminder:
            case Reminder.AGAIN:
                return self.sent_at + self.ack_within
            case Reminder.LEADER:
                return self.sent_at + self.ack_within + self.leader_after
            case Reminder.HIGHER:
                return self.sent_at + self.ack_within + self.higher_after
            case Reminder.FEEDBACK:
                return None if self.feedback_within is None else self.sent_at + self.feedback_within


def next_reminder(
    plan: Plan, told: Collection[str], *, signed: bool, reported: bool, here: Collection[Reminder] = tuple(Reminder)
) -> tuple[Reminder, datetime] | None:
    """Return the next reminder that was not given and when it is due; `here` are those that this gateway gives."""
    coming = []
    for reminder in Reminder:
        at = plan.at(reminder)
        satisfied = reported if reminder is Reminder.FEEDBACK else signed
        if at is not None and not satisfied and reminder not in told and reminder in here:
            coming.append((reminder, at))
    return min(coming, key=lambda one: one[1], default=None)


def ring_at(plan: Plan, given: Reminder, following: Reminder, now: datetime) -> datetime:
    """Return when the timer of the next reminder rings, after one was given at `now`.

    At once where its time has passed while nobody watched, and never later than its distance from the one before: a
    clock that was set back must not make anybody wait longer.
    """
    before, after = plan.at(given), plan.at(following)
    if before is None or after is None:
        raise AssertionError("a reminder without a time was given: next_reminder never names one")
    return max(now, min(after, now + (after - before)))
