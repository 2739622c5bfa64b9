"""Rows of the roll-call room as objects."""

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from gateway.rollcall.rules.holds import Hold, open_since, read, told
from protocols.health import Verdict
from protocols.rollcall import (
    ASIDE,
    FINAL,
    MISSING,
    PRESENT,
    AbsenceReason,
    Cause,
    Check,
    Mode,
    PointResult,
    PointState,
    RollCallKind,
    SessionState,
)


@dataclass(slots=True)
class PointRecord:
    """One point: what was asked, answered and seen, and the verdict.

    `link` is `up` or the reason why the way is down. `why` is a person's reason for an excuse, a skip or a changed
    verdict; `decided_by` is `auto` or the person whose verdict stands, `revision` how often a standing verdict was
    changed. `makeup_at` is when the point was rung again in the make-up, `first_state` how its first round ended.
    `delegate` is the gateway below that asks it for us, `heard` the number of that gateway's newest record, `late`
    tells that its result came after this call had ended. `answer` is what the county said, `precheck` what was probed
    before, `roster` the duty roster frozen at the start. `challenge_at` is since when the number `challenge` is out,
    `holds` the times in which a higher tier asked the point itself. `rung_at` is when the point was first rung,
    `ring_at` when the newest ring began.
    """

    roll_call_id: str
    centre: str
    number: int
    name: str
    camera: str | None = None
    owner: str | None = None
    state: PointState = PointState.PENDING
    reason: AbsenceReason | None = None
    attempts: int = 0
    rung_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None
    told: Verdict | None = None
    first_frame_s: float | None = None
    frame_age_ms: int | None = None
    still: str | None = None
    link: str = "up"
    settled_at: datetime | None = None
    note: str = ""
    cause: Cause | None = None
    checks: tuple[Check, ...] = ()
    score: float | None = None
    revision: int = 0
    decided_by: str | None = None
    why: str = ""
    makeup_at: datetime | None = None
    first_state: PointState | None = None
    late: bool = False
    delegate: str | None = None
    heard: int = 0
    challenge: str | None = None
    challenge_at: datetime | None = None
    answer: dict[str, Any] | None = None
    precheck: dict[str, Any] | None = None
    roster: dict[str, Any] | None = None
    holds: list[Hold] = field(default_factory=list)
    ring_at: datetime | None = None

    @property
    def lent(self) -> bool:
        """Tell whether a higher tier asks it now."""
        return open_since(self.holds) is not None

    @property
    def stream(self) -> str | None:
        """Return the stream of the point's camera."""
        return f"{self.centre}/{self.camera}" if self.camera is not None else None

    @property
    def settled(self) -> bool:
        """Tell whether the verdict stands."""
        return self.settled_at is not None

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["checks"] = [check.model_dump(mode="json") for check in self.checks]
        return values | {"holds": told(self.holds)}

    @classmethod
    def read(cls, row: Any) -> "PointRecord":
        """Build it from a row of the store; what an older version did not write has its default."""
        values = {one.name: row[one.name] for one in fields(cls) if row[one.name] is not None}
        for name, kind in _POINT_ENUMS.items():
            if name in values:
                values[name] = kind(values[name])
        values["checks"] = tuple(Check.model_validate(check) for check in values.get("checks", ()))
        values["holds"] = read(values.get("holds", ()))
        return cls(**values)


_POINT_ENUMS = {
    "state": PointState,
    "first_state": PointState,
    "reason": AbsenceReason,
    "told": Verdict,
    "cause": Cause,
}


@dataclass(slots=True)
class RollCallRecord:
    """One roll call without its points.

    `rules` is the profile as it stood at the start, under its name and version. `draw` proves a random choice (seed,
    pool and number), `trigger` names the alarm or warning that gave the reason. `upper_id` is the call of the tier
    above that this one carries out, `upper_node` the gateway that ordered it, `root_centre` the centre whose people
    began it. `stage` is the centre that is named now (逐一点名),
    `upcoming` the next one, `seat` the person who conducts, `holds` the times in which the call stood still.
    `ordered` tells what the order rests on: by rainfall, `mm` by centre.
    """

    id: str
    kind: RollCallKind
    state: SessionState
    started_by: str
    started_at: datetime
    ended_at: datetime | None = None
    drill: bool = False
    mode: Mode = Mode.PARALLEL
    profile: str = "default"
    profile_version: int = 0
    rules: dict[str, Any] = field(default_factory=dict)
    planned_at: datetime | None = None
    schedule_id: str | None = None
    draw: dict[str, Any] | None = None
    trigger: dict[str, Any] | None = None
    upper_id: str | None = None
    upper_node: str | None = None
    makeup_of: str | None = None
    why: str = ""
    stage: str | None = None
    upcoming: str | None = None
    seat: str | None = None
    seat_at: datetime | None = None
    holds: list[Hold] = field(default_factory=list)
    ordered: dict[str, Any] | None = None
    root_centre: str | None = None

    @property
    def root_id(self) -> str:
        """Return the id under which all tiers know this call: that of the gateway that ordered it."""
        return self.upper_id or self.id

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return asdict(self) | {"holds": told(self.holds)}

    @classmethod
    def read(cls, row: Any) -> "RollCallRecord":
        """Build it from a row of the store; what an older version did not write has its default."""
        values = {one.name: row[one.name] for one in fields(cls) if row[one.name] is not None}
        values["kind"], values["state"] = RollCallKind(values["kind"]), SessionState(values["state"])
        values["mode"] = Mode(values.get("mode", Mode.PARALLEL))
        values["holds"] = read(values.get("holds", ()))
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of a verdict that stood: from `before` to `after` (state, reason, cause, score)."""

    centre: str
    number: int
    at: datetime
    by: str
    reason: str
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RollCall:
    """A roll call with its points in order."""

    record: RollCallRecord
    points: tuple[PointRecord, ...]

    @property
    def due(self) -> int:
        """Points that count (应点): all but those excused or skipped."""
        return sum(point.state not in ASIDE for point in self.points)

    @property
    def present(self) -> int:
        """Points that are there (实点)."""
        return sum(point.state in PRESENT for point in self.points)

    @property
    def absent(self) -> int:
        """Points whose absence stands."""
        return sum(point.state in MISSING for point in self.points)

    @property
    def open(self) -> int:
        """Points without a final verdict."""
        return sum(point.state not in FINAL for point in self.points)


_TOLD_UP = frozenset(PointResult.model_fields) - {"roll_call_id", "asked_by", "number", "at"}
"""Fields that a record to the tier above has in common with a point."""


def result_of(point: PointRecord, root_id: str, node: str, at: datetime) -> PointResult:
    """Return what the tier that ordered the call is told of a point."""
    values = {name: getattr(point, name) for name in _TOLD_UP}
    return PointResult(roll_call_id=root_id, asked_by=node, number=point.heard, at=at, **values)


def told_of(result: PointResult) -> dict[str, Any]:
    """Return what a record from below says of a point, as columns; the centre itself is left out."""
    return {name: getattr(result, name) for name in _TOLD_UP if name != "centre"}
