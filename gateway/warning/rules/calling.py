"""Call-and-confirm (叫应) of one post: calling its persons one after the other until somebody answers.

::

    phase       meaning                                             timer
    calling     person `step` is called on all channels at once     always: the answer is due
    door        nobody answered: somebody goes there (上门)          none; it stays unanswered until confirmed
    confirmed   somebody answered, by which way and when is kept    none
    ended       the run was ended without an answer                 none

A person who answers late still confirms: what counts is that the village knows; the answer is stamped late, though
(`late_by`), and stays so. A deadline that comes late (after a
restart) takes one step, and the next person gets the whole time from then on.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from protocols.alarm import Severity
from protocols.errors import WrongMomentError
from protocols.event_codes import STRONG_CONVECTION, EventClass

ANSWER_WITHIN = timedelta(minutes=5)
"""叫应 practice: the responsible person is awake within 5 minutes; a setting may say otherwise."""


class CallPhase(StrEnum):
    """Where the calling of one post stands."""

    CALLING = "calling"
    DOOR = "door"
    CONFIRMED = "confirmed"
    ENDED = "ended"


UNANSWERED = frozenset({CallPhase.CALLING, CallPhase.DOOR})


class Way(StrEnum):
    """How somebody confirmed."""

    LINK = "link"
    PHONE = "phone"
    CONSOLE = "console"
    DOOR = "door"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Who answered, when and how; `noted_by` is the duty officer who wrote it down."""

    by: str
    at: datetime
    way: Way
    noted_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One post. `persons` is the length of its chain, `step` who is called now."""

    persons: int
    began_at: datetime
    phase: CallPhase = CallPhase.CALLING
    step: int = 0
    due_at: datetime | None = None
    confirmed: Confirmation | None = None


@dataclass(frozen=True, slots=True)
class Ring:
    """Call a person of the chain on all channels."""

    step: int


@dataclass(frozen=True, slots=True)
class SendSomebody:
    """Ask the neighbour, or the duty officer, to have somebody go there."""


Effect = Ring | SendSomebody


def begin(persons: int, now: datetime, within: timedelta) -> tuple[Call, Effect]:
    """Call the first person."""
    return Call(persons, now, due_at=now + within), Ring(0)


def ring(call: Call, now: datetime, within: timedelta) -> tuple[Call, Effect | None]:
    """Act on the timer: the next person, or somebody goes there. Before its time, or once answered, nothing happens."""
    if call.phase is not CallPhase.CALLING or call.due_at is None or call.due_at > now:
        return call, None
    if call.step + 1 < call.persons:
        following = replace(call, step=call.step + 1, due_at=now + within)
        return following, Ring(following.step)
    return replace(call, phase=CallPhase.DOOR, due_at=None), SendSomebody()


def confirm(call: Call, confirmation: Confirmation) -> Call:
    """Take an answer; the first one stands, a repeat changes nothing. Raises WrongMomentError where the run ended."""
    if call.phase is CallPhase.CONFIRMED:
        return call
    if call.phase is CallPhase.ENDED:
        raise WrongMomentError("this call-and-confirm has ended; note the answer by phone with the duty officer")
    return replace(call, phase=CallPhase.CONFIRMED, due_at=None, confirmed=confirmation)


def late_by(call: Call, within: timedelta) -> timedelta | None:
    """Return how much later than its time a post answered, whoever of its chain did; None: in time, or not yet."""
    if call.confirmed is None:
        return None
    over = call.confirmed.at - call.began_at - within
    return over if over > timedelta() else None


def end(call: Call) -> Call:
    """End without an answer."""
    return replace(call, phase=CallPhase.ENDED, due_at=None) if call.phase in UNANSWERED else call


def is_called(event: EventClass, colour: int, *, tornado: bool) -> bool:
    """Tell whether a warning asks for call-and-confirm: red, orange, strong convection of any colour, a tornado."""
    return colour <= Severity.ORANGE or event.code == STRONG_CONVECTION or tornado


def is_called_again(colour: int, before: int | None) -> bool:
    """Tell whether an update calls anew: nobody was called for what it replaces, or it is graver."""
    return before is None or colour < before
