"""What the API says of roll calls."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from gateway.rollcall.conductor import Conductor
from gateway.rollcall.ledger import BEFORE
from gateway.rollcall.records import PointRecord, RollCall
from protocols.rollcall import (
    AbsenceReason,
    Cause,
    Check,
    Mode,
    PointState,
    RollCallKind,
    SessionState,
)


class PointView(BaseModel):
    """One point. `link` is `up` or why the way is down; `still` is the address of the kept picture.

    `answer` is what the county said, `why` a person's reason, `decided_by` is `auto` or a person, `revision` how often
    a standing verdict was changed, `delegate` the gateway that asks it for us, `late` a result that came after the end.
    `lent` tells that a higher tier asks it itself just now.
    `challenge` is the number that is to come back, `asks_for_number` while it is out.
    """

    centre: str
    number: int
    name: str
    camera: str | None
    state: PointState
    reason: AbsenceReason | None
    cause: Cause | None
    attempts: int
    rung_at: datetime | None
    answered_by: str | None
    answered_at: datetime | None
    first_frame_s: float | None
    frame_age_ms: int | None
    still: str | None
    still_sha256: str | None
    link: str
    settled_at: datetime | None
    first_state: PointState | None
    makeup_at: datetime | None
    checks: list[Check]
    score: float | None
    decided_by: str | None
    why: str
    revision: int
    late: bool
    delegate: str | None
    challenge: str | None
    asks_for_number: bool = False
    lent: bool = False
    answer: dict[str, Any] | None
    precheck: dict[str, Any] | None
    note: str


class RollCallView(BaseModel):
    """One roll call with its points in order.

    `stage` is the centre that is named now, `upcoming` the one whose picture is fetched already, `seat` who conducts,
    `gives_way_in_s` when a higher tier takes the points `giving_way` over. `draw` proves a random choice: the seed is
    shown once it has begun.
    """

    id: str
    kind: RollCallKind
    mode: Mode
    state: SessionState
    drill: bool
    planned_at: datetime | None
    started_at: datetime
    ended_at: datetime | None
    started_by: str
    seat: str | None
    seat_at: datetime | None
    stage: str | None
    upcoming: str | None
    profile: str
    profile_version: int
    presence_s: float = Field(description="Length of the make-up after a county's first ring")
    draw: dict[str, Any] | None
    trigger: dict[str, Any] | None
    upper_id: str | None
    upper_node: str | None
    makeup_of: str | None
    why: str
    ordered: dict[str, Any] | None
    gives_way_in_s: float | None = None
    giving_way: list[str] = Field(default_factory=list)
    due: int
    present: int
    absent: int
    open: int
    points: list[PointView]


def view(call: RollCall, conductor: Conductor | None = None) -> RollCallView:
    """Return a roll call in the form of the API."""
    head = call.record
    same = set(RollCallView.model_fields) & {name for name in head.__dataclass_fields__ if name != "draw"}
    return RollCallView(
        **{name: getattr(head, name) for name in same},
        presence_s=float(head.rules.get("presence_s", 0)),
        draw=_draw(call),
        gives_way_in_s=conductor.gives_way_in_s if conductor is not None else None,
        giving_way=list(conductor.giving_way) if conductor is not None else [],
        due=call.due,
        present=call.present,
        absent=call.absent,
        open=call.open,
        points=[_point(point, conductor) for point in call.points],
    )


def _draw(call: RollCall) -> dict[str, Any] | None:
    draw = call.record.draw
    if draw is None or call.record.state not in BEFORE:
        return draw
    return {"commitment": draw["commitment"], "count": draw["count"], "pool": draw["pool"]}


def _point(point: PointRecord, conductor: Conductor | None) -> PointView:
    other = {"still", "still_sha256", "asks_for_number", "checks"}
    values = {name: getattr(point, name) for name in PointView.model_fields if name not in other}
    address = f"/api/v1/roll-calls/{point.roll_call_id}/points/{point.centre}/still" if point.still else None
    asks = conductor is not None and conductor.asks_for_number(point.centre)
    return PointView(**values, checks=list(point.checks), still=address, still_sha256=point.still, asks_for_number=asks)
