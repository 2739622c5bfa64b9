"""Where a warning stands, and which step may follow. One table; whatever is not in it is refused by name.

======================================== ============ ==========
state                                    step         next
======================================== ============ ==========
drafted                                  review       reviewed
reviewed                                 return       drafted
reviewed                                 sign         signed
signed                                   dispatch     dispatched
dispatched                               delivered    delivered
received, dispatched, delivered          call         called
confirmed                                call         called
called                                   confirmed    confirmed
received … confirmed, once public        supersede    updated
received … confirmed, once public        cancel       cancelled
drafted, reviewed, signed (withdrawn),   archive      archived
and whatever was public
======================================== ============ ==========

**Two persons**: whoever wrote a warning neither reviews nor signs it.
"""

from enum import StrEnum

from protocols.errors import NotAllowedError, WrongMomentError
from protocols.warning import WarningState


class Step(StrEnum):
    """What happens to a warning."""

    REVIEW = "review"
    RETURN = "return"
    SIGN = "sign"
    DISPATCH = "dispatch"
    DELIVERED = "delivered"
    CALL = "call"
    CONFIRMED = "confirmed"
    SUPERSEDE = "supersede"
    CANCEL = "cancel"
    ARCHIVE = "archive"


_S = WarningState
IN_FORCE = frozenset({_S.RECEIVED, _S.DISPATCHED, _S.DELIVERED, _S.CALLED, _S.CONFIRMED})
"""States of a warning that holds for people."""
UNISSUED = frozenset({_S.DRAFTED, _S.REVIEWED, _S.SIGNED})
_TABLE: dict[tuple[WarningState, Step], WarningState] = {
    (_S.DRAFTED, Step.REVIEW): _S.REVIEWED,
    (_S.REVIEWED, Step.RETURN): _S.DRAFTED,
    (_S.REVIEWED, Step.SIGN): _S.SIGNED,
    (_S.SIGNED, Step.DISPATCH): _S.DISPATCHED,
    (_S.DISPATCHED, Step.DELIVERED): _S.DELIVERED,
    (_S.CALLED, Step.CONFIRMED): _S.CONFIRMED,
    **{(state, Step.CALL): _S.CALLED for state in IN_FORCE - {_S.CALLED}},
    **{(state, Step.SUPERSEDE): _S.UPDATED for state in IN_FORCE},
    **{(state, Step.CANCEL): _S.CANCELLED for state in IN_FORCE},
    **{(state, Step.ARCHIVE): _S.ARCHIVED for state in WarningState if state is not _S.ARCHIVED},
}


def moved(state: WarningState, step: Step) -> WarningState:
    """Return the state after a step; raises WrongMomentError."""
    after = _TABLE.get((state, step))
    if after is None:
        raise WrongMomentError(f"a warning that is {state.value} does not take the step {step.value}")
    return after


def heard(state: WarningState, step: Step) -> WarningState:
    """Return the state after news from outside; what comes late or a second time changes nothing."""
    return _TABLE.get((state, step), state)


def check_second(author: str, by: str) -> None:
    """Raise NotAllowedError where the author would review or sign the own text."""
    if author == by:
        raise NotAllowedError(f"{author} wrote this warning: another person reviews and signs it")
