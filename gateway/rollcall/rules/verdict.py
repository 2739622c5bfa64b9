"""What the gathered checks do to a verdict, and what is left of a point when the call ends.

**A check can take *present* away and never give it.** Pure.
"""

from collections.abc import Sequence
from typing import Final

from protocols.rollcall import (
    COUNTY_CAUSES,
    FINAL,
    AbsenceReason,
    Cause,
    Check,
    CheckName,
    CheckResult,
    Defect,
    PointState,
)

_REASONS: Final = {
    Defect.LOST: AbsenceReason.NO_PICTURE,
    Defect.FROZEN: AbsenceReason.FROZEN,
    Defect.BLACK: AbsenceReason.BLACK,
    Defect.COVERED: AbsenceReason.COVERED,
    Defect.REPLAY: AbsenceReason.REPLAY,
}
_PICTURES: Final = frozenset({CheckName.PICTURE, CheckName.SCENE})


def unproven(checks: Sequence[Check]) -> bool:
    """Tell whether the picture could not be told from a dead one."""
    return any(check.name in _PICTURES and check.result is CheckResult.UNPROVEN for check in checks)


def weigh(checks: Sequence[Check], *, late: bool, proven: bool = False) -> tuple[PointState, AbsenceReason | None]:
    """Return the verdict of a point whose picture was seen alive, in the light of its checks.

    `proven`: the challenge number was confirmed, so an unproven picture no longer counts against it.
    """
    for check in checks:
        if check.name in _PICTURES and check.result is CheckResult.BAD:
            defect = check.defect
            return PointState.FAILED, _REASONS.get(defect, _BAD) if defect is not None else _BAD
    if unproven(checks) and not proven:
        return PointState.FAILED, AbsenceReason.UNPROVEN
    if late:
        return PointState.PASSED_LATE, None
    if any(check.result in {CheckResult.ISSUE, CheckResult.BAD} for check in checks):
        return PointState.PASSED_WITH_ISSUES, None
    return PointState.PASSED, None


_BAD: Final = AbsenceReason.BAD_PICTURE


def at_the_end(state: PointState, cause: Cause | None) -> PointState:
    """Return the final state of a point whose time is up (domain.md 3.4).

    What the platform could not reach is `unreachable` unless the county is to blame; who did not answer is `absent`.
    """
    if state in FINAL:
        return state
    if state is PointState.LINK_LOST:
        return PointState.ABSENT if cause in COUNTY_CAUSES else PointState.UNREACHABLE
    return PointState.ABSENT
