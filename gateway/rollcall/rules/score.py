"""The score of a point (domain.md 3.6): 100 by weights, with the attribution gate.

**A county loses nothing for what is not its fault**: what `line`, `upper_network` and `platform` cost is shown and not
deducted, what `county_power` and `unknown` cost waits for the review. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.rollcall.rules.profiles import Weights
from protocols.rollcall import ASIDE, MISSING, PRESENT, Cause, Check, CheckName, CheckResult, PointState

FORGIVEN: Final = frozenset({Cause.LINE, Cause.UPPER_NETWORK, Cause.PLATFORM})
WAITING: Final = frozenset({Cause.COUNTY_POWER, Cause.UNKNOWN})
_WORTH: Final = {CheckResult.BAD: 0.0, CheckResult.ISSUE: 0.5}
"""Share that is left; whatever was good, not decided or not looked at keeps all of it."""
BUSINESS_MOST: Final = 5.0
"""A caller rates the answer on today's work from 0 to 5 (domain.md 3.5, row 9)."""


@dataclass(frozen=True, slots=True)
class Score:
    """`points` after the gate; `lost` by check before it. `waits`: the review decides on the deduction."""

    points: float
    lost: dict[str, float] = field(default_factory=dict)
    forgiven: bool = False
    waits: bool = False


def score(
    state: PointState, cause: Cause | None, checks: Sequence[Check], weights: Weights, *, decided: bool = False
) -> Score | None:
    """Return the score, None for a point that does not count. `decided`: the review has let the deduction stand."""
    if state in ASIDE or state not in PRESENT | MISSING:
        return None
    lost = _lost(state, checks, weights)
    if not lost:
        return Score(_left(lost, weights), lost)
    if cause in FORGIVEN:
        return Score(_left({}, weights), lost, forgiven=True)
    unknown = cause in WAITING or (cause is None and state in MISSING)
    if unknown and not decided:
        return Score(_left({}, weights), lost, waits=True)
    return Score(_left(lost, weights), lost)


def _lost(state: PointState, checks: Sequence[Check], weights: Weights) -> dict[str, float]:
    worth = {name: getattr(weights, name) for name in Weights.model_fields if name != "late"}
    if state in {PointState.ABSENT, PointState.UNREACHABLE}:
        return {name: value for name, value in worth.items() if value}
    lost = {check.name.value: _share(check) * worth[check.name] for check in checks if check.name in worth}
    if state is PointState.FAILED:
        lost[CheckName.PICTURE.value] = worth[CheckName.PICTURE]
    if state is PointState.PASSED_LATE:
        lost["late"] = min(weights.late, worth[CheckName.LINK])
    return {name: value for name, value in lost.items() if value}


def _share(check: Check) -> float:
    if check.name is CheckName.BUSINESS and isinstance(check.value, float | int):
        return 1.0 - min(max(float(check.value), 0.0), BUSINESS_MOST) / BUSINESS_MOST
    return 1.0 - _WORTH.get(check.result, 1.0)


def _left(lost: dict[str, float], weights: Weights) -> float:
    whole = sum(float(getattr(weights, name)) for name in Weights.model_fields if name != "late")
    return round(max(0.0, whole - sum(lost.values())), 1)
