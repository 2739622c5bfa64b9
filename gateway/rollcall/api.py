"""HTTP of the roll-call room."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from gateway.rollcall.records import PointRecord, RollCall
from gateway.rollcall.service import PAGE, RollCallService
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.ids import CentreCode
from protocols.rollcall import AbsenceReason, PointState, RollCallKind, SessionState

STARTERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER)
SEERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER, Role.OPERATIONS)


class StartBody(BaseModel):
    """What to ring; nothing named = all counties of the subtree."""

    kind: RollCallKind = RollCallKind.DAILY
    centres: list[CentreCode] | None = Field(default=None, max_length=4000)
    drill: bool = False


class PointView(BaseModel):
    """One point. `link` is `up` or why the way is down; `still` is the address of the kept picture."""

    centre: str
    name: str
    camera: str | None
    state: PointState
    reason: AbsenceReason | None
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
    note: str


class RollCallView(BaseModel):
    """One roll call with its points in order."""

    id: str
    kind: RollCallKind
    state: SessionState
    drill: bool
    started_at: datetime
    ended_at: datetime | None
    started_by: str
    due: int
    present: int
    absent: int
    points: list[PointView]


def routes(service: RollCallService) -> APIRouter:
    """Return all routes of the room."""
    api = APIRouter(prefix="/api/v1/roll-calls", tags=["roll calls"])

    @api.post("", status_code=201)
    async def start(body: StartBody, caller: Annotated[Caller, require(*STARTERS)]) -> RollCallView:
        """Ring all counties of the subtree at once, or the named ones."""
        call = await service.start(by=caller.user, kind=body.kind, centres=body.centres, drill=body.drill)
        return view(call)

    @api.get("")
    async def page(
        _: Annotated[Caller, require(*EVERYBODY)],
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
    ) -> dict[str, list[RollCallView] | str | None]:
        """List roll calls, the newest first."""
        calls = await service.page(cursor, limit)
        return {"items": [view(call) for call in calls], "next": calls[-1].record.id if len(calls) == limit else None}

    @api.get("/{roll_call_id}")
    async def get(roll_call_id: str, _: Annotated[Caller, require(*EVERYBODY)]) -> RollCallView:
        """Return one roll call."""
        return view(await service.get(roll_call_id))

    @api.get("/{roll_call_id}/points/{centre}/still", response_class=Response)
    async def still(roll_call_id: str, centre: str, _: Annotated[Caller, require(*SEERS)]) -> Response:
        """Return the kept picture of one point."""
        content = await service.still(roll_call_id, centre)
        return Response(content, 200, {"Cache-Control": "private, max-age=86400"}, media_type="image/jpeg")

    return api


def view(call: RollCall) -> RollCallView:
    """Return a roll call in the form of the API."""
    head = call.record
    return RollCallView(
        id=head.id,
        kind=head.kind,
        state=head.state,
        drill=head.drill,
        started_at=head.started_at,
        ended_at=head.ended_at,
        started_by=head.started_by,
        due=call.due,
        present=call.present,
        absent=call.absent,
        points=[_point(point) for point in call.points],
    )


def _point(point: PointRecord) -> PointView:
    values = {name: getattr(point, name) for name in PointView.model_fields if name not in {"still", "still_sha256"}}
    address = f"/api/v1/roll-calls/{point.roll_call_id}/points/{point.centre}/still" if point.still else None
    return PointView(**values, still=address, still_sha256=point.still)
