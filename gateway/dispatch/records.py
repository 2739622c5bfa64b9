"""Rows of the dispatch room as objects."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from gateway.dispatch.machine import CallState, Direction, EndReason


@dataclass(slots=True)
class CallRecord:
    """One call. `callee_stream` is known once it is answered."""

    id: str
    direction: Direction
    state: CallState
    caller_centre: str
    caller_user: str
    caller_stream: str
    callee_centre: str
    started_at: datetime
    callee_node: str | None = None
    callee_stream: str | None = None
    answered_by: str | None = None
    reason: EndReason | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def own_stream(self) -> str | None:
        """Return the stream that this centre publishes."""
        return self.caller_stream if self.direction is Direction.OUT else self.callee_stream

    @property
    def far_stream(self) -> str | None:
        """Return the stream that this centre watches."""
        return self.callee_stream if self.direction is Direction.OUT else self.caller_stream

    @property
    def speaker(self) -> str | None:
        """Return the user of this centre who speaks."""
        return self.caller_user if self.direction is Direction.OUT else self.answered_by

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return asdict(self)

    @classmethod
    def read(cls, row: Any) -> "CallRecord":
        """Build it from a row of the store."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values["direction"] = Direction(values["direction"])
        values["state"] = CallState(values["state"])
        values["reason"] = EndReason(values["reason"]) if values["reason"] is not None else None
        return cls(**values)
