"""HTTP of walls: one peer connection with many slots, opened like WHEP, filled with `PUT /wall/{id}/slots`.

The bearer is a wall token (`POST /api/v1/wall`) or the session of a person who may watch; cookies are never read on
`/wall` itself, so that any page may hold a wall.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.media.api import (
    FRAGMENT,
    PREFLIGHT,
    SDP,
    MediaRoute,
    bearer,
    client_of,
    content_kind,
    created,
    text_of,
    trickled,
)
from gateway.media.floor_api import FloorView, FloorWish, floor_view
from gateway.media.floor_api import routes as floor_routes
from gateway.media.ice_servers import IceServer, link_headers
from gateway.media.service import MediaService, Session
from gateway.media.snapshot_api import WATCHERS
from gateway.media.wall import MAX_SLOTS, SlotState
from gateway.ports.media import Layer, Showing, Slot
from gateway.web.auth import Authenticator, Caller, require
from gateway.web.journal import name_watched
from gateway.web.media_tokens import MediaDirection
from gateway.web.problems import problem
from protocols.errors import MustChangePasswordError, NotAllowedError, NotAuthenticatedError
from protocols.ids import StreamId

OFFERED = {**PREFLIGHT, "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS"}


class WallPass(BaseModel):
    """Where to open a wall and with which token; the token lasts for the wall it opened."""

    wall_url: str
    token: str
    expires_at: datetime


class SlotWish(BaseModel):
    """What shall stand in one slot; slots are counted per kind in the order of the offer's m-lines."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["video", "audio"] = "video"
    index: int = Field(ge=0, lt=MAX_SLOTS)
    stream: StreamId | None = Field(description="320623/room; null empties the slot")
    layer: Layer = Field(default=Layer.MAIN, description="Best one wished for")
    priority: int = Field(default=2, ge=0, le=3, description="0 command audio, 1 stage, 2 main pictures, 3 thumbs")


class SlotView(BaseModel):
    """What a slot shows; `why` is null while it shows its stream, else what keeps it away."""

    kind: str
    index: int
    stream: str | None
    showing: Showing
    why: str | None
    since: datetime


class SlotList(BaseModel):
    """All slots that were ever assigned."""

    items: list[SlotView]


def routes(service: MediaService, ice_servers: Sequence[IceServer] = ()) -> APIRouter:
    """Return the routes of walls. Every new session is told of the `ice_servers`."""
    router = APIRouter()
    router.include_router(_passes(service))
    router.include_router(_sessions(service, ice_servers))
    router.include_router(_slots(service))
    router.include_router(floor_routes(service))
    return router


def _passes(service: MediaService) -> APIRouter:
    api = APIRouter(prefix="/api/v1/wall", tags=["media"])

    @api.post("")
    async def wall(request: Request, caller: Annotated[Caller, require(*WATCHERS)]) -> WallPass:
        """Return a wall token."""
        granted = service.wall_pass(caller.user)
        base = str(request.base_url).rstrip("/")
        return WallPass(wall_url=f"{base}{granted.path}", token=granted.token, expires_at=granted.expires_at)

    return api


def _sessions(service: MediaService, ice_servers: Sequence[IceServer]) -> APIRouter:
    router = APIRouter(prefix="/wall", route_class=MediaRoute, tags=["media"])

    @router.options("", operation_id="wall_options")
    @router.options("/{session_id}", operation_id="wall_session_options")
    @router.options("/{session_id}/slots", operation_id="wall_slots_options")
    @router.options("/{session_id}/floor", operation_id="wall_floor_options")
    async def options() -> Response:
        return Response(status_code=204, headers=OFFERED)

    @router.post("", status_code=201, operation_id="wall_offer", response_class=Response)
    async def post(request: Request) -> Response:
        holder = await _holder(request, service)
        if content_kind(request) != SDP:
            return problem(request, "unsupported_type", 415, info=f"send the offer as {SDP}")
        answer = await service.wall_offer(holder, bearer(request), await text_of(request), client_of(request))
        links = link_headers(ice_servers, answer.session_id, service.now())
        return created(f"/wall/{answer.session_id}", answer, links)

    @router.patch("/{session_id}", operation_id="wall_trickle", response_class=Response)
    async def patch(request: Request, session_id: str) -> Response:
        session = await _session(request, service, session_id)
        if content_kind(request) != FRAGMENT:
            return problem(request, "unsupported_type", 415, info=f"send the fragment as {FRAGMENT}")
        return await trickled(request, service, session)

    @router.delete("/{session_id}", operation_id="wall_end", response_class=Response)
    async def delete(request: Request, session_id: str) -> Response:
        await service.hang_up(await _session(request, service, session_id))
        return Response(status_code=200)

    return router


def _slots(service: MediaService) -> APIRouter:
    router = APIRouter(prefix="/wall", route_class=MediaRoute, tags=["media"])

    @router.put("/{session_id}/slots", operation_id="wall_assign")
    async def assign(
        request: Request, session_id: str, wishes: Annotated[list[SlotWish], Field(max_length=MAX_SLOTS)]
    ) -> SlotList:
        """Change what stands in the slots named; the others stay. Answers all slots."""
        session = await _session(request, service, session_id)
        for wish in wishes:
            if wish.stream is not None:
                service.camera(wish.stream)
                service.clicked(wish.stream, request.headers.get("traceparent"))
        slots = [Slot(w.kind, w.index, w.stream, w.layer, w.priority) for w in wishes]
        fresh = await service.walls.assign(session.session_id, slots)
        name_watched(request, service.walls.holder(session_id) or "", sorted(fresh))
        return _list(service.walls.states(session_id))

    @router.put("/{session_id}/floor", operation_id="wall_floor")
    async def floor(request: Request, session_id: str, wish: FloorWish) -> FloorView:
        """Hear those who speak, of these streams, in the first sound slots; the event `floor.changed` says who does."""
        session = await _session(request, service, session_id)
        for stream in wish.voices:
            if not service.asker.is_own(stream):
                service.camera(stream)
        await service.floors.listen(session.session_id, wish.voices, wish.own, wish.places)
        return floor_view(service, session_id)

    @router.get("/{session_id}/slots", operation_id="wall_slots")
    async def slots(request: Request, session_id: str) -> SlotList:
        """Return what the slots show, for whoever missed an event."""
        await _session(request, service, session_id)
        return _list(service.walls.states(session_id))

    return router


def _list(states: tuple[SlotState, ...]) -> SlotList:
    return SlotList(
        items=[
            SlotView(
                kind=state.slot.kind,
                index=state.slot.index,
                stream=state.slot.stream,
                showing=state.showing,
                why=state.why,
                since=state.since,
            )
            for state in states
        ]
    )


async def _session(request: Request, service: MediaService, session_id: str) -> Session:
    """Return the wall if the bearer opened it; raises NotFoundError, NotAuthenticatedError, NotAllowedError."""
    if service.opened_by(session_id, bearer(request)):
        return service.session(MediaDirection.WALL, "", session_id, bearer(request))
    holder = await _holder(request, service)
    if service.walls.holder(session_id) not in {None, holder}:
        raise NotAllowedError("this wall belongs to somebody else")
    return service.session_of(session_id)


async def _holder(request: Request, service: MediaService) -> str:
    """Return the person behind the bearer: a wall token, else the session of somebody who may watch."""
    token = bearer(request)
    try:
        return service.wall_holder(token)
    except NotAuthenticatedError:
        if token is None:
            raise
    authenticator: Authenticator = request.app.state.authenticator
    caller = await authenticator.authenticate(token)
    if caller.must_change_password:
        raise MustChangePasswordError("change the first password: POST /api/v1/session/password")
    if not caller.has(*WATCHERS):
        raise NotAllowedError(f"this needs the role {' or '.join(WATCHERS)}")
    return caller.user
