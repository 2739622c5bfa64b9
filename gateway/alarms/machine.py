"""The state of one alarm: which events change it, and how.

**Three facts, never one enum** (ISA-18.2): *condition* follows raises and clears, *acknowledgement* belongs to one
episode of the condition, *visibility* is the operators' wish.

::

    condition     raise                        clear
    (none)        active, episode opens        cleared (the raise was lost to an older database, or comes late)
    active        active, counted up           cleared
    cleared       active, new episode opens    cleared, nothing changes but the time

Events apply in the origin order of their source: one that is not newer than the newest applied is kept in the log and
changes nothing. An acknowledgement says up to which origin counter its giver had seen the alarm (`upto`): it holds for
the episode that opened at or before that counter, so it never silences a later raise, whichever arrives first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from protocols.alarm import AlarmData, Condition, Visibility


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who took the alarm in hand, where and when; `upto` is the newest origin counter that this person had seen."""

    by: str
    at: datetime
    centre: str
    upto: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One raise or clear of an alarm key."""

    counter: int
    condition: Condition
    data: AlarmData
    time: datetime
    received_at: datetime
    drill: bool = False


@dataclass(frozen=True, slots=True)
class AlarmState:
    """What is known of one (source, alarm key). `opened` is the origin counter at which the episode began."""

    # condition
    condition: Condition
    opened: int
    applied: int
    first_raised_at: datetime
    last_observed_at: datetime
    received_at: datetime
    count: int
    data: AlarmData
    drill: bool
    # acknowledgement
    acknowledged: Acknowledgement | None = None
    # visibility
    visibility: Visibility = Visibility.SHOWN


def apply(state: AlarmState | None, change: Change, known: Iterable[Acknowledgement] = ()) -> AlarmState | None:
    """Return the new state, or None where a late older record changes nothing.

    `known` are acknowledgements of this alarm that arrived before the raise they belong to.
    """
    if state is not None and change.counter <= state.applied:
        return None
    if state is None or (change.condition is Condition.ACTIVE and state.condition is Condition.CLEARED):
        return _open(state, change, known)
    raises = change.data.count if change.condition is Condition.ACTIVE else 0
    return replace(
        state,
        condition=change.condition,
        applied=change.counter,
        last_observed_at=change.data.observed_at,
        received_at=change.received_at,
        count=state.count + raises,
        data=change.data,
        drill=change.drill,
    )


def _open(state: AlarmState | None, change: Change, known: Iterable[Acknowledgement]) -> AlarmState:
    return AlarmState(
        condition=change.condition,
        opened=change.counter,
        applied=change.counter,
        first_raised_at=change.data.observed_at,
        last_observed_at=change.data.observed_at,
        received_at=change.received_at,
        count=change.data.count if change.condition is Condition.ACTIVE else 0,
        data=change.data,
        drill=change.drill,
        acknowledged=earliest(ack for ack in known if ack.upto >= change.counter),
        visibility=Visibility.SHOWN if state is None else state.visibility,
    )


def acknowledge(state: AlarmState, ack: Acknowledgement) -> AlarmState | None:
    """Return the new state, or None where the acknowledgement belongs to an earlier episode or a later one holds.

    The earliest acknowledgement of an episode is the one that counts, so that all tiers agree whatever came first.
    """
    if ack.upto < state.opened:
        return None
    first = earliest(found for found in (state.acknowledged, ack) if found is not None)
    return None if first == state.acknowledged else replace(state, acknowledged=first)


def earliest(found: Iterable[Acknowledgement]) -> Acknowledgement | None:
    """Return the earliest acknowledgement; ties go to the smaller centre code and name."""
    return min(found, key=lambda ack: (ack.at, ack.centre, ack.by), default=None)
