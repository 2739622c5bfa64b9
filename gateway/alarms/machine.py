"""The state of one alarm: which events change it, and how.

**Three facts, never one enum** (ISA-18.2): *condition* follows raises and clears, *acknowledgement* belongs to one
episode of the condition, *visibility* is the operators' wish.

::

    condition     raise                        clear
    (none)        active, episode opens        cleared (the raise was lost to an older database, or comes late)
    active        active, counted up           cleared
    cleared       active, new episode opens    cleared, nothing changes but the time

Shelving (ISA-18.2 section 3.1) hides an alarm for a time, by a named person for a reason; a raise of a graver
severity ends it, and a red alarm is never shelved.
A mild alarm of a device behind a failed link is suppressed by design. An alarm that
opened four times in ten minutes flaps: that is told, and hides nothing.

Events apply in the origin order of their source: one that is not newer than the newest applied is kept in the log and
changes nothing. An acknowledgement says up to which origin counter its giver had seen the alarm (`upto`): it holds for
the episode that opened at or before that counter, so it never silences a later raise, whichever arrives first.
A reopening voids the acknowledgements up to its time; an escalation says which centre handed the alarm to which.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from protocols.alarm import AlarmData, Condition, Severity, Visibility
from protocols.errors import BadInputError, WrongMomentError

FLAPS, FLAP_WITHIN = 4, timedelta(minutes=10)
LONGEST_SHELF = timedelta(hours=24)
SENSORS_OWN = "dev.alarm"
"""What a sensor reports without saying more: it may be anything, so it is never taken for a fault of the device."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who took the alarm in hand, where and when; `upto` is the newest origin counter that this person had seen."""

    by: str
    at: datetime
    centre: str
    upto: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Escalated:
    """Which centre handed the alarm to which, who did it, when and why; `upto` as in an acknowledgement."""

    by: str
    at: datetime
    centre: str
    to: str
    why: str
    upto: int


@dataclass(frozen=True, slots=True)
class Reopened:
    """Acknowledgements given up to `at` hold no longer."""

    at: datetime
    upto: int


Word = Acknowledgement | Escalated | Reopened
"""What is said of an alarm; it may arrive before the raise that it belongs to."""


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
class Shelf:
    """Who hid the alarm, when, why, until when (None: out of service, until somebody ends it), at which severity."""

    by: str
    at: datetime
    until: datetime | None
    reason: str
    severity: int


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
    reopened_at: datetime | None = None
    escalated: Escalated | None = None
    # visibility
    shelf: Shelf | None = None
    openings: tuple[datetime, ...] = ()
    behind: str | None = None
    """The node whose failed link this alarm lies behind, where it is suppressed for that."""

    @property
    def visibility(self) -> Visibility:
        """Whether operators are shown the alarm."""
        if self.behind is not None:
            return Visibility.SUPPRESSED
        if self.shelf is None:
            return Visibility.SHOWN
        return Visibility.SHELVED if self.shelf.until is not None else Visibility.OUT_OF_SERVICE


def apply(state: AlarmState | None, change: Change, known: Iterable[Word] = ()) -> AlarmState | None:
    """Return the new state, or None where a late older record changes nothing.

    `known` are words on this alarm that arrived before the raise they belong to.
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
        shelf=_kept(state.shelf, change),
        behind=state.behind if suppressible(change.data) else None,
    )


def suppressible(data: AlarmData) -> bool:
    """Tell whether a failed link in front of it explains the alarm: a mild one of a device, never a sensor's own."""
    device = data.event_type.startswith("dev.") and data.event_type != SENSORS_OWN
    return device and data.severity >= Severity.YELLOW


def put_behind(state: AlarmState, node: str | None) -> AlarmState | None:
    """Return the state suppressed behind a failed link, or shown again (None); None where nothing changes."""
    wanted = node if suppressible(state.data) else None
    return None if wanted == state.behind else replace(state, behind=wanted)


def _kept(shelf: Shelf | None, change: Change) -> Shelf | None:
    graver = change.condition is Condition.ACTIVE and shelf is not None and change.data.severity < shelf.severity
    return None if graver else shelf


def _open(state: AlarmState | None, change: Change, known: Iterable[Word]) -> AlarmState:
    mine = [word for word in known if word.upto >= change.counter]
    reopened_at = max((word.at for word in mine if isinstance(word, Reopened)), default=None)
    given = (word for word in mine if isinstance(word, Acknowledgement))
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
        acknowledged=earliest(ack for ack in given if reopened_at is None or ack.at > reopened_at),
        reopened_at=reopened_at,
        escalated=_newest(word for word in mine if isinstance(word, Escalated)),
        shelf=None if state is None else _kept(state.shelf, change),
        openings=((*state.openings, change.received_at) if state else (change.received_at,))[-FLAPS:],
    )


def flapping(openings: Sequence[datetime], now: datetime) -> bool:
    """Tell whether an alarm that opened at these times flaps at `now`."""
    return len(openings) >= FLAPS and now - openings[-FLAPS] <= FLAP_WITHIN


def shelve(state: AlarmState, shelf: Shelf) -> AlarmState:
    """Return the hidden state; raises WrongMomentError for a red alarm, BadInputError for a bad time."""
    if state.data.severity <= Severity.RED:
        raise WrongMomentError("a red alarm is not shelved: acknowledge it and act")
    if shelf.until is not None and not timedelta(0) < shelf.until - shelf.at <= LONGEST_SHELF:
        raise BadInputError(f"shelve for at most {LONGEST_SHELF}, or take the alarm out of service")
    return replace(state, shelf=shelf)


def show(state: AlarmState, now: datetime | None = None) -> AlarmState | None:
    """Return the shown state, or None where nothing hides it; with `now` only where its time is over."""
    shelf = state.shelf
    if shelf is None or (now is not None and (shelf.until is None or now < shelf.until)):
        return None
    return replace(state, shelf=None)


def acknowledge(state: AlarmState, ack: Acknowledgement) -> AlarmState | None:
    """Return the new state, or None where the acknowledgement belongs to an earlier episode or a later one holds.

    The earliest acknowledgement of an episode is the one that counts, so that all tiers agree whatever came first.
    """
    if ack.upto < state.opened or (state.reopened_at is not None and ack.at <= state.reopened_at):
        return None
    first = earliest(found for found in (state.acknowledged, ack) if found is not None)
    return None if first == state.acknowledged else replace(state, acknowledged=first)


def reopen(state: AlarmState, word: Reopened, known: Iterable[Word] = ()) -> AlarmState | None:
    """Return the state that waits for a person again, or None where the word is old.

    `known` are the words heard so far: an acknowledgement that was given later, and heard earlier, holds.
    """
    if word.upto < state.opened or (state.reopened_at is not None and word.at <= state.reopened_at):
        return None
    acks = [ack for ack in known if isinstance(ack, Acknowledgement) and ack.upto >= state.opened]
    if state.acknowledged is not None:
        acks.append(state.acknowledged)
    return replace(state, reopened_at=word.at, acknowledged=earliest(ack for ack in acks if ack.at > word.at))


def escalate(state: AlarmState, word: Escalated) -> AlarmState | None:
    """Return the state with the newest escalation, or None where this one changes nothing."""
    if word.upto < state.opened:
        return None
    newest = _newest(found for found in (state.escalated, word) if found is not None)
    return None if newest == state.escalated else replace(state, escalated=newest)


def _newest(found: Iterable[Escalated]) -> Escalated | None:
    return max(found, key=lambda word: (word.at, word.centre, word.to, word.by, word.why), default=None)


def say(state: AlarmState, word: Word, known: Iterable[Word] = ()) -> AlarmState | None:
    """Return the state after any word, or None where it changes nothing."""
    match word:
        case Acknowledgement():
            return acknowledge(state, word)
        case Reopened():
            return reopen(state, word, known)
        case Escalated():
            return escalate(state, word)


def earliest(found: Iterable[Acknowledgement]) -> Acknowledgement | None:
    """Return the earliest acknowledgement; ties go to the smaller centre code and name."""
    return min(found, key=lambda ack: (ack.at, ack.centre, ack.by), default=None)
