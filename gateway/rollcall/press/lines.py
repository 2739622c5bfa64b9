"""From the room's rows to the lines of the sheet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gateway.rollcall.records import PointRecord, Revision, RollCall, RollCallRecord
from gateway.rollcall.rules import roster
from gateway.rollcall.rules.sheet import Line, Looked, Sheet
from protocols.rollcall import Check, CheckName, CheckResult, PointState

_FAULTS = frozenset({CheckResult.ISSUE, CheckResult.BAD})


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of a roll call beside its points: who confirmed it, what units say, which files are kept."""

    reviewer: str = ""
    objections: Mapping[str, str] = field(default_factory=dict)
    revisions: Mapping[str, tuple[Revision, ...]] = field(default_factory=dict)
    stills: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remedy_by: datetime | None = None
    signed: Mapping[str, tuple[datetime, str, str]] = field(default_factory=dict)
    """By centre: when, who, and what the unit says (反馈)."""


def sheet_of(call: RollCall, beside: Beside, title: str) -> Sheet:
    """Return the result sheet of a roll call."""
    lines = tuple(line_of(call.record, point, beside) for point in call.points)
    rosters = {point.centre: roster.read(point.roster).hash for point in call.points if point.roster}
    return Sheet(title, lines, drill=call.record.drill, roster=rosters)


def line_of(call: RollCallRecord, point: PointRecord, beside: Beside) -> Line:
    """Return one point's line."""
    line = Line(
        number=point.number,
        centre=point.centre,
        name=point.name,
        point=point.camera or "",
        kind=call.kind.value,
        planned_at=call.planned_at,
        rung_at=point.rung_at,
        connected_at=point.answered_at,
        connect_s=_between(point.rung_at, point.answered_at),
        attempts=point.attempts,
        answered_by=point.answered_by or "",
        state=point.state,
        reason=point.reason,
        cause=point.cause,
        score=point.score,
        caller=call.started_by,
        reviewer=beside.reviewer,
        note="；".join(text for text in (point.note, point.why) if text),
        **_makeup(point),
        **_people(point),
    )
    return _with_beside(_with_checks(line, point.checks), beside)


def _makeup(point: PointRecord) -> dict[str, Any]:
    if point.makeup_at is None:
        return {}
    return {"makeup_at": point.makeup_at, "makeup_state": point.state}


def _people(point: PointRecord) -> dict[str, Any]:
    due = roster.read(point.roster)
    said = point.answer or {}
    return {
        "leader_due": due.leaders,
        "leader_there": str(said.get("leader") or ""),
        "officers_due": due.officers,
        "officers_there": tuple(str(name) for name in said.get("officers") or ()),
        "count_due": due.required,
        "count_there": said.get("people"),
    }


def _with_checks(line: Line, checks: Iterable[Check]) -> Line:
    found = {check.name: check for check in checks}
    issues = [name.value for name in CheckName if name in found and found[name].result in _FAULTS]
    business = found.get(CheckName.BUSINESS)
    return replace(
        line,
        picture=_looked(found.get(CheckName.PICTURE)),
        sound=_looked(found.get(CheckName.SOUND)),
        dress=found[CheckName.DRESS].result.value if CheckName.DRESS in found else "",
        business=int(business.value) if business is not None and isinstance(business.value, int | float) else None,
        issues=tuple(issues),
        rtt_ms=_figure(found, "rtt_ms"),
        loss_ratio=_figure(found, "loss_ratio"),
        bitrate_kbps=_figure(found, "bitrate_kbps"),
    )


def _looked(check: Check | None) -> Looked:
    if check is None:
        return Looked()
    return Looked(check.result.value, (check.defect.value,) if check.defect is not None else ())


def _figure(found: Mapping[CheckName, Check], name: str) -> float | None:
    check = found.get(CheckName.LINE)
    value = (check.model_extra or {}).get(name) if check is not None else None
    return float(value) if isinstance(value, int | float) else None


def _with_beside(line: Line, beside: Beside) -> Line:
    at, by, feedback = beside.signed.get(line.centre, (None, "", ""))
    return replace(
        line,
        objection=beside.objections.get(line.centre, ""),
        revisions=tuple(f"{one.by}：{one.reason}" for one in beside.revisions.get(line.centre, ())),
        stills=beside.stills.get(line.centre, ()),
        clips=beside.clips.get(line.centre, ()),
        remedy_by=None if line.state is PointState.PASSED and not line.issues else beside.remedy_by,
        signed_at=at,
        signed_by=by,
        feedback=feedback,
    )


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())
