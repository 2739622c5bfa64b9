"""A verdict that a person gives, or that later knowledge changes: by a revision where one stood."""

from dataclasses import dataclass
from typing import Any

from gateway.ports.store import Store
from gateway.rollcall.ledger import Ledger, stands
from gateway.rollcall.records import PointRecord, RollCallRecord
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.score import score
from protocols.rollcall import ASIDE, AUTO, PRESENT, AbsenceReason, Cause, Check, PointState, RollCallKind


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict as a person gives it; None leaves what was found."""

    state: PointState
    reason: AbsenceReason | None = None
    cause: Cause | None = None
    checks: tuple[Check, ...] | None = None


async def change_verdict(
    store: Store,
    ledger: Ledger,
    call: RollCallRecord,
    point: PointRecord,
    change: Change,
    *,
    by: str,
    why: str,
) -> None:
    """Write a verdict; one that stood stays readable as a revision."""
    checks = point.checks if change.checks is None else change.checks
    cause = change.cause or point.cause
    reason = None if change.state in PRESENT | ASIDE else change.reason or point.reason
    weights = Profile.model_validate(call.rules).weights
    found = None if call.kind is RollCallKind.TEST else score(change.state, cause, checks, weights, decided=by != AUTO)
    values: dict[str, Any] = {
        "state": change.state,
        "reason": reason,
        "cause": cause,
        "checks": checks,
        "score": found.points if found is not None else None,
        "decided_by": by,
        "why": why,
    }
    await _write(store, ledger, call, point, values)


async def put_aside(
    store: Store, ledger: Ledger, call: RollCallRecord, point: PointRecord, state: PointState, *, by: str, why: str
) -> None:
    """Write that a point is excused or skipped; a verdict that stood stays readable as a revision."""
    nothing = dict.fromkeys(("reason", "cause", "score"))
    await _write(store, ledger, call, point, {"state": state, **nothing, "decided_by": by, "why": why})


async def _write(
    store: Store, ledger: Ledger, call: RollCallRecord, point: PointRecord, values: dict[str, Any]
) -> None:
    async with store.unit() as uow:
        if stands(point):
            await ledger.revise(uow, call, point, values, by=values["decided_by"], reason=values["why"])
            return
        for name, value in values.items():
            setattr(point, name, value)
        point.settled_at = uow.now
        await ledger.write_verdict(uow, call, point)
