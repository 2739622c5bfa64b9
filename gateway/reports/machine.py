"""Where a report stands, and which step may follow. One table; whatever is not in it is refused by name.

=============================== ============================ =====================================================
state                           step                         next
=============================== ============================ =====================================================
received                        verify                       verifying
received, verifying             draft                        drafted
drafted                         sign                         signed
signed                          correct (a new draft)        drafted
signed                          send                         sent
sent                            acknowledged                 acknowledged
sent                            returned, correct            drafted
acknowledged, following         draft, correct               following
following                       sign, send, returned         following
following                       acknowledged                 following; 核报: verified; 终报: closed
verified                        draft, correct, sign, send,  verified
                                returned
verified                        acknowledged                 verified; 终报: closed
=============================== ============================ =====================================================
"""

from enum import StrEnum

from protocols.errors import UnsignableError, WrongMomentError
from protocols.report import Content, ReportKind, ReportState, missing_reasons


class Step(StrEnum):
    """What happens to a report. `DRAFT` opens its next version, `CORRECT` one that replaces a signed version."""

    VERIFY = "verify"
    DRAFT = "draft"
    SIGN = "sign"
    SEND = "send"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    CORRECT = "correct"


_S = ReportState
_TABLE: dict[tuple[ReportState, Step], ReportState] = {
    (_S.RECEIVED, Step.VERIFY): _S.VERIFYING,
    (_S.RECEIVED, Step.DRAFT): _S.DRAFTED,
    (_S.VERIFYING, Step.DRAFT): _S.DRAFTED,
    (_S.DRAFTED, Step.SIGN): _S.SIGNED,
    (_S.SIGNED, Step.CORRECT): _S.DRAFTED,
    (_S.SIGNED, Step.SEND): _S.SENT,
    (_S.SENT, Step.ACKNOWLEDGED): _S.ACKNOWLEDGED,
    (_S.SENT, Step.RETURNED): _S.DRAFTED,
    (_S.SENT, Step.CORRECT): _S.DRAFTED,
    (_S.ACKNOWLEDGED, Step.DRAFT): _S.FOLLOWING,
    (_S.ACKNOWLEDGED, Step.CORRECT): _S.FOLLOWING,
    **{(_S.FOLLOWING, step): _S.FOLLOWING for step in Step if step is not Step.VERIFY},
    **{(_S.VERIFIED, step): _S.VERIFIED for step in Step if step is not Step.VERIFY},
}
_ENDS = {ReportKind.VERIFIED: ReportState.VERIFIED, ReportKind.FINAL: ReportState.CLOSED}
_ORDER = tuple(ReportKind)


def moved(state: ReportState, step: Step, kind: ReportKind) -> ReportState:
    """Return the state after `step` on a version of `kind`; raises WrongMomentError."""
    after = _TABLE.get((state, step))
    if after is None:
        raise WrongMomentError(f"a report that is {state.value} does not take the step {step.value}")
    if step is Step.ACKNOWLEDGED and after in {ReportState.FOLLOWING, ReportState.VERIFIED}:
        return _ENDS.get(kind, after)
    return after


def heard(state: ReportState, step: Step, kind: ReportKind) -> ReportState:
    """Return the state after an addressee's word; one that comes late or a second time changes nothing."""
    try:
        return moved(state, step, kind)
    except WrongMomentError:
        return state


def check_next(kind: ReportKind, before: ReportKind | None) -> None:
    """Raise WrongMomentError where a version of `kind` cannot follow one of `before` (None: there is none)."""
    if before is None and kind is not ReportKind.INITIAL:
        raise WrongMomentError("a report begins with its first version (首报)")
    if before is not None and kind is ReportKind.INITIAL:
        raise WrongMomentError("the first version stands; write a follow-up, or correct it")
    if before is not None and _ORDER.index(kind) < _ORDER.index(before):
        raise WrongMomentError(f"after a version of kind {before.value} none of kind {kind.value} may come")


FIRST_NEEDED = ("occurred_at", "place", "summary", "reporter")


def check_signable(content: Content, before: Content | None, reasons: dict[str, str]) -> None:
    """Raise UnsignableError, naming the fields, where a draft lacks what it must say or why a number changed."""
    empty = [name for name in FIRST_NEEDED if getattr(content, name) in (None, "")]
    if empty:
        raise UnsignableError(f"fill in before signing: {', '.join(empty)}")
    wanted = missing_reasons(before, content, reasons) if before is not None else ()
    if wanted:
        raise UnsignableError(f"a number fell or rose by more than a half; give the reason for: {', '.join(wanted)}")
