"""Rows of the roll-call room as objects."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from protocols.health import Verdict
from protocols.rollcall import AbsenceReason, PointState, SessionState


@dataclass(slots=True)
class PointRecord:
    """One point: what was asked, answered and seen. `link` is `up` or the reason why the way is down."""

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
        return asdict(self)

    @classmethod
    def read(cls, row: Any) -> "PointRecord":
        """Build it from a row of the store."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values["state"] = PointState(values["state"])
        values["reason"] = AbsenceReason(values["reason"]) if values["reason"] is not None else None
        values["told"] = Verdict(values["told"]) if values["told"] is not None else None
        return cls(**values)


@dataclass(slots=True)
class RollCallRecord:
    """One roll call without its points."""

    id: str
    kind: str
    state: SessionState
    started_by: str
    started_at: datetime
    ended_at: datetime | None = None
    drill: bool = False

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return asdict(self)

    @classmethod
    def read(cls, row: Any) -> "RollCallRecord":
        """Build it from a row of the store."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values["state"] = SessionState(values["state"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class RollCall:
    """A roll call with its points in order."""

    record: RollCallRecord
    points: tuple[PointRecord, ...]

    @property
    def due(self) -> int:
        """Points that were asked (应点)."""
        return len(self.points)

    @property
    def present(self) -> int:
        """Points that are there (实点)."""
        return sum(point.state is PointState.PASSED for point in self.points)

    @property
    def absent(self) -> int:
        """Points whose absence stands."""
        return sum(point.state is PointState.ABSENT for point in self.points)
