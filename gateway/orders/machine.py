"""Where an order stands at the issuer and at each unit, and which step may follow.

The order itself, at its issuer:

====================== ========= =======
state                  step      next
====================== ========= =======
draft                  sign      signed
signed                 return    draft
signed                 send      sent
draft, signed, sent    revoke    revoked
====================== ========= =======

A unit's line goes ``sent → delivered → acknowledged → in_progress → feedback → done`` and never back. News that comes
late or twice changes nothing; whoever answers by telephone may do so before the order was delivered.
"""

from enum import StrEnum

from protocols.errors import NotAllowedError, WrongMomentError
from protocols.order import Deed, OrderState


class Step(StrEnum):
    """What the issuer does to an order."""

    SIGN = "sign"
    RETURN = "return"
    SEND = "send"
    REVOKE = "revoke"


_S = OrderState
_TABLE: dict[tuple[OrderState, Step], OrderState] = {
    (_S.DRAFT, Step.SIGN): _S.SIGNED,
    (_S.SIGNED, Step.RETURN): _S.DRAFT,
    (_S.SIGNED, Step.SEND): _S.SENT,
    **{(state, Step.REVOKE): _S.REVOKED for state in (_S.DRAFT, _S.SIGNED, _S.SENT)},
}
LINE = (_S.SENT, _S.DELIVERED, _S.ACKNOWLEDGED, _S.IN_PROGRESS, _S.FEEDBACK, _S.DONE)
"""The states of a unit's line, in order."""
_REACHED = {
    Deed.DELIVERED: _S.DELIVERED,
    Deed.ACKNOWLEDGED: _S.ACKNOWLEDGED,
    Deed.IN_PROGRESS: _S.IN_PROGRESS,
    Deed.FEEDBACK: _S.FEEDBACK,
    Deed.DONE: _S.DONE,
}
SPOKEN = frozenset({Deed.ACKNOWLEDGED, Deed.IN_PROGRESS, Deed.FEEDBACK, Deed.DONE})
"""What people say; the rest is said by gateways."""


def moved(state: OrderState, step: Step) -> OrderState:
    """Return the order's state after a step; raises WrongMomentError."""
    after = _TABLE.get((state, step))
    if after is None:
        raise WrongMomentError(f"an order that is {state.value} does not take the step {step.value}")
    return after


def check_signer(authors: list[str], by: str, *, one_person: bool) -> None:
    """Raise NotAllowedError where an author would sign, unless the settings permit it (`orders.one_person`)."""
    if by in authors and not one_person:
        raise NotAllowedError(f"{by} wrote this order: another person signs it (or set orders.one_person)")


def check_deed(line: OrderState, deed: Deed, *, revoked: bool, text: str) -> None:
    """Judge what a person says of a unit's line.

    Raises WrongMomentError where it does not fit, NotAllowedError for what only gateways say, and WrongMomentError
    for a feedback without words.
    """
    if deed not in SPOKEN:
        raise NotAllowedError(f"{deed.value} is said by gateways, not by people")
    if revoked:
        raise WrongMomentError("this order is revoked: nothing more is expected of the unit")
    if line is _S.DONE:
        raise WrongMomentError("the unit is done with this order already")
    signed = LINE.index(line) >= LINE.index(_S.ACKNOWLEDGED)
    if deed is Deed.ACKNOWLEDGED and signed:
        raise WrongMomentError("the unit has signed for this order already")
    if deed is not Deed.ACKNOWLEDGED and not signed:
        raise WrongMomentError("sign for the order first (签收)")
    if deed is Deed.FEEDBACK and not text.strip():
        raise WrongMomentError("say what was done: a feedback without words helps nobody")


def heard(line: OrderState, deed: Deed) -> OrderState:
    """Return the line's state after news of it; what lies behind it already changes nothing."""
    after = _REACHED.get(deed, line)
    return after if LINE.index(after) > LINE.index(line) else line
