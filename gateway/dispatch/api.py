"""HTTP of the dispatch room. Media tokens are minted anew at every read, for those who may use them."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from gateway.dispatch.machine import CallState, Direction, EndReason
from gateway.dispatch.needs import Streams
from gateway.dispatch.records import CallRecord
from gateway.dispatch.service import PAGE, DispatchService
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.ids import CameraName, CentreCode

SPEAKERS = (Role.DISPATCHER, Role.DUTY_OFFICER, Role.CALLER)


class CallBody(BaseModel):
    """Whom to call."""

    centre: CentreCode
    camera: CameraName | None = None


class CallerView(BaseModel):
    """Who called."""

    centre: str
    user: str


class CalleeView(BaseModel):
    """Who is called."""

    centre: str
    node: str | None
    answered_by: str | None


class PublishView(BaseModel):
    """Where the own side is published; only for the person who speaks."""

    whip_url: str
    token: str
    expires_at: datetime


class WatchView(BaseModel):
    """Where the far side is seen and heard."""

    stream: str
    whep_url: str
    token: str
    expires_at: datetime


class CallView(BaseModel):
    """One call."""

    id: str
    state: CallState
    reason: EndReason | None
    direction: Direction
    caller: CallerView
    callee: CalleeView
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    publish: PublishView | None
    watch: WatchView | None


def routes(service: DispatchService, streams: Streams) -> APIRouter:
    """Return all routes of the room; `streams` mints the media tokens."""
    api = APIRouter(prefix="/api/v1/calls", tags=["calls"])

    @api.post("", status_code=201)
    async def call(request: Request, body: CallBody, caller: Annotated[Caller, require(*SPEAKERS)]) -> CallView:
        """Call a county. A call that cannot be made is answered too: ended, with its reason."""
        record = await service.call(body.centre, camera=body.camera, by=caller.user)
        return view(record, streams, caller, _base(request))

    @api.get("")
    async def page(
        request: Request,
        caller: Annotated[Caller, require(*EVERYBODY)],
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
    ) -> dict[str, list[CallView] | str | None]:
        """List calls, the newest first."""
        calls = await service.page(cursor, limit)
        items = [view(record, streams, caller, _base(request)) for record in calls]
        return {"items": items, "next": calls[-1].id if len(calls) == limit else None}

    @api.get("/{call_id}")
    async def get(request: Request, call_id: str, caller: Annotated[Caller, require(*EVERYBODY)]) -> CallView:
        """Return one call, with fresh media tokens."""
        return view(await service.get(call_id), streams, caller, _base(request))

    @api.post("/{call_id}/answer")
    async def answer(request: Request, call_id: str, caller: Annotated[Caller, require(*SPEAKERS)]) -> CallView:
        """Take an incoming call."""
        return view(await service.answer(call_id, by=caller.user), streams, caller, _base(request))

    @api.post("/{call_id}/hangup")
    async def hang_up(request: Request, call_id: str, caller: Annotated[Caller, require(*SPEAKERS)]) -> CallView:
        """End a call, or decline an incoming one."""
        return view(await service.hang_up(call_id, by=caller.user), streams, caller, _base(request))

    return api


def view(record: CallRecord, streams: Streams, caller: Caller, base: str) -> CallView:
    """Return a call in the form of the API, as `caller` may see it."""
    return CallView(
        id=record.id,
        state=record.state,
        reason=record.reason,
        direction=record.direction,
        caller=CallerView(centre=record.caller_centre, user=record.caller_user),
        callee=CalleeView(centre=record.callee_centre, node=record.callee_node, answered_by=record.answered_by),
        started_at=record.started_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        publish=_publish(record, streams, caller, base),
        watch=_watch(record, streams, caller, base),
    )


def _publish(record: CallRecord, streams: Streams, caller: Caller, base: str) -> PublishView | None:
    stream = record.own_stream
    if record.state is CallState.ENDED or stream is None or record.speaker != caller.user:
        return None
    granted = streams.publish_pass(stream, caller.user)
    return PublishView(whip_url=f"{base}{granted.path}", token=granted.token, expires_at=granted.expires_at)


def _watch(record: CallRecord, streams: Streams, caller: Caller, base: str) -> WatchView | None:
    stream = record.far_stream
    if record.state is not CallState.CONNECTED or stream is None or not caller.has(*SPEAKERS):
        return None
    granted = streams.play_pass(stream, caller.user)
    return WatchView(
        stream=stream, whep_url=f"{base}{granted.path}", token=granted.token, expires_at=granted.expires_at
    )


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
