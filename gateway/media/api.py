"""HTTP of the media room: WHIP (RFC 9725) and WHEP endpoints, cameras, play tokens, stills.

The endpoints take any WHIP or WHEP client from any page (CORS): the bearer token in the request is the only right,
cookies are never read there.
"""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from typing_extensions import override

from gateway.media.machine import Trouble
from gateway.media.needs import KnownCamera
from gateway.media.service import MediaService
from gateway.ports.media import SessionAnswer, StreamState, StreamStats
from gateway.web.auth import EVERYBODY, Caller, Role, require
from gateway.web.media_tokens import MediaDirection
from gateway.web.problems import of_error, problem
from protocols.errors import BadMediaError, SilianError, TooLargeError, WrongMomentError
from protocols.health import Verdict
from protocols.ids import stream_of

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
SDP_LIMIT = 256 * 1024
"""Longest offer or fragment in bytes; a browser's offer with many codecs has about 8 KiB."""
STILL_WITHIN_S = 5.0
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, ETag, Accept-Patch, Accept-Post, Link, Retry-After",
}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "3600",
    "Accept-Post": SDP,
}
WATCHERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER, Role.OPERATIONS)


class Picture(BaseModel):
    """What the camera's owner says of its picture."""

    verdict: Verdict
    frame_age_ms: int | None
    checked_at: datetime | None


class StreamView(BaseModel):
    """The stream here. `trouble` says why a wanted stream does not come."""

    state: StreamState
    viewers: int
    codec: str | None
    frame_rate: float
    trouble: Trouble | None


class CameraView(BaseModel):
    """One camera."""

    id: str = Field(description="320623/room")
    centre: str
    name: str
    title: str
    kind: str
    label: str | None
    owner: str
    picture: Picture | None
    stream: StreamView


class PlayView(BaseModel):
    """Where to view a camera and with which token."""

    whep_url: str
    token: str
    expires_at: datetime


class MediaRoute(APIRoute):
    """A route whose errors carry the CORS headers too: a foreign page must be able to read why."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_cors(request: Request) -> Response:
            try:
                response = await handle(request)
            except SilianError as error:
                response = of_error(request, error)
            response.headers.update(CORS)
            return response

        return handle_with_cors


def routes(service: MediaService) -> APIRouter:
    """Return all routes of the room."""
    router = APIRouter()
    router.include_router(_endpoint(service, "/whip", MediaDirection.PUBLISH, service.publish_offer))
    router.include_router(_endpoint(service, "/whep", MediaDirection.PLAY, service.play_offer))
    router.include_router(_cameras(service))
    return router


Offer = Callable[[str, str | None, str], Coroutine[Any, Any, SessionAnswer]]


def _endpoint(service: MediaService, prefix: str, direction: MediaDirection, offer: Offer) -> APIRouter:
    router = APIRouter(prefix=prefix, route_class=MediaRoute, tags=["media"])
    name = prefix.removeprefix("/")

    @router.options("/{centre}/{camera}", operation_id=f"{name}_options")
    @router.options("/{centre}/{camera}/{session_id}", operation_id=f"{name}_session_options")
    async def options() -> Response:
        return Response(status_code=204, headers=PREFLIGHT)

    @router.api_route("/{centre}/{camera}", methods=["GET", "HEAD", "PUT"], include_in_schema=False)
    @router.api_route(
        "/{centre}/{camera}/{session_id}", methods=["GET", "HEAD", "PUT", "POST"], include_in_schema=False
    )
    async def not_taken(request: Request) -> Response:
        headers = {"Allow": PREFLIGHT["Access-Control-Allow-Methods"]}
        return problem(request, "method_not_allowed", 405, headers=headers)

    @router.post("/{centre}/{camera}", status_code=201, operation_id=f"{name}_offer", response_class=Response)
    async def post(request: Request, centre: str, camera: str) -> Response:
        stream = stream_of(centre, camera)
        if _kind(request) != SDP:
            return problem(request, "unsupported_type", 415, info=f"send the offer as {SDP}")
        answer = await offer(stream, _bearer(request), await _text(request))
        headers = {
            "Location": f"{prefix}/{stream}/{answer.session_id}",
            "ETag": f'"{answer.etag}"',
            "Accept-Patch": FRAGMENT,
        }
        return Response(answer.sdp, 201, headers, media_type=SDP)

    @router.patch("/{centre}/{camera}/{session_id}", operation_id=f"{name}_trickle", response_class=Response)
    async def patch(request: Request, centre: str, camera: str, session_id: str) -> Response:
        return await _patch(request, service, direction, stream_of(centre, camera), session_id)

    @router.delete("/{centre}/{camera}/{session_id}", operation_id=f"{name}_end", response_class=Response)
    async def delete(request: Request, centre: str, camera: str, session_id: str) -> Response:
        session = service.session(direction, stream_of(centre, camera), session_id, _bearer(request))
        await service.hang_up(session)
        return Response(status_code=200)

    return router


async def _patch(
    request: Request, service: MediaService, direction: MediaDirection, stream: str, session_id: str
) -> Response:
    """RFC 9725 section 4.3: 415 wrong type, 428 no If-Match, 412 stale tag, 204 trickle, 200 ICE restart."""
    session = service.session(direction, stream, session_id, _bearer(request))
    if _kind(request) != FRAGMENT:
        return problem(request, "unsupported_type", 415, info=f"send the fragment as {FRAGMENT}")
    tag = request.headers.get("if-match", "").strip()
    if not tag:
        return problem(request, "precondition_required", 428, info="name the ICE session: If-Match")
    try:
        answer = await service.trickle(session, await _text(request), tag.strip('"'))
    except WrongMomentError as error:
        return problem(request, "precondition_failed", 412, info=str(error))
    headers = {"ETag": f'"{answer.etag}"'}
    if answer.sdp_fragment is None:
        return Response(status_code=204, headers=headers)
    return Response(answer.sdp_fragment, 200, headers, media_type=FRAGMENT)


def _cameras(service: MediaService) -> APIRouter:
    api = APIRouter(prefix="/api/v1/cameras", tags=["cameras"])

    @api.get("")
    async def cameras(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[CameraView] | None]:
        """List the cameras of the subtree."""
        stats = await service.stream_stats()
        items = [camera_view(service, camera, stats.get(camera.stream)) for camera in service.cameras()]
        return {"items": items, "next": None}

    @api.get("/{centre}/{name}")
    async def camera(centre: str, name: str, _: Annotated[Caller, require(*EVERYBODY)]) -> CameraView:
        """Return one camera."""
        known = service.camera(stream_of(centre, name))
        stats = await service.stream_stats()
        return camera_view(service, known, stats.get(known.stream))

    @api.post("/{centre}/{name}/play")
    async def play(request: Request, centre: str, name: str, caller: Annotated[Caller, require(*WATCHERS)]) -> PlayView:
        """Return a play token; the stream is fetched at once."""
        known = service.camera(stream_of(centre, name))
        service.expect_viewer(known.stream)
        granted = service.play_pass(known.stream, caller.user)
        base = str(request.base_url).rstrip("/")
        return PlayView(whep_url=f"{base}{granted.path}", token=granted.token, expires_at=granted.expires_at)

    @api.get("/{centre}/{name}/still", response_class=Response)
    async def still(centre: str, name: str, _: Annotated[Caller, require(*WATCHERS)]) -> Response:
        """Return the newest picture as image/jpeg; X-Frame-Age-Ms says how old it is."""
        known = service.camera(stream_of(centre, name))
        service.expect_viewer(known.stream)
        found = await service.still(known.stream, timeout_s=STILL_WITHIN_S)
        headers = {"X-Frame-Age-Ms": str(found.frame_age_ms), "Cache-Control": "no-store"}
        return Response(found.jpeg, 200, headers, media_type="image/jpeg")

    return api


def camera_view(service: MediaService, camera: KnownCamera, stats: StreamStats | None) -> CameraView:
    """Return a camera in the form of the API."""
    found = camera.picture
    picture = None
    if found is not None:
        picture = Picture(verdict=found.verdict, frame_age_ms=found.frame_age_ms, checked_at=found.checked_at)
    stream = StreamView(
        state=service.state(camera.stream),
        viewers=stats.viewers if stats is not None else 0,
        codec=stats.codec if stats is not None else None,
        frame_rate=round(stats.frame_rate, 1) if stats is not None else 0.0,
        trouble=service.trouble(camera.stream),
    )
    return CameraView(
        id=camera.stream,
        centre=camera.centre,
        name=camera.name,
        title=camera.title,
        kind=camera.kind,
        label=camera.label,
        owner=camera.owner,
        picture=picture,
        stream=stream,
    )


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def _text(request: Request) -> str:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > SDP_LIMIT:
            raise TooLargeError(f"the session description is longer than {SDP_LIMIT} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadMediaError("the session description is not UTF-8 text") from None
    if not text.strip():
        raise BadMediaError("the session description is empty; send an offer")
    return text
