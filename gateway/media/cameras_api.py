"""HTTP of the media room: cameras, play tokens, the path of a click, stills."""

import hashlib
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from gateway.media.machine import Trouble
from gateway.media.needs import KnownCamera
from gateway.media.service import MediaService
from gateway.media.snapshot_api import WATCHERS, SnapshotView, showing, snapshot_view
from gateway.ports.media import StreamState, StreamStats
from gateway.web.auth import EVERYBODY, Caller, require
from gateway.web.journal import name_watched
from protocols.command import HopTiming
from protocols.health import Verdict
from protocols.ids import stream_of
from protocols.sharing import Share

STILL_WITHIN_S = 5.0
WIDTH_STEP = 80
"""Widths are rounded up to these, so that clients of all sizes share decoded pictures."""


class Picture(BaseModel):
    """What the camera's owner says of its picture; `since`: since when it has been said here."""

    verdict: Verdict
    frame_age_ms: int | None
    checked_at: datetime | None
    since: datetime | None = None


class StreamView(BaseModel):
    """The stream here. `trouble` says why a wanted stream does not come; `since` dates its state or trouble.

    `snapshot`: a still that its owner posts in its place, because no media passes.
    """

    state: StreamState
    viewers: int
    codec: str | None
    frame_rate: float
    trouble: Trouble | None
    since: datetime | None = None
    snapshot: SnapshotView | None = None


class CameraView(BaseModel):
    """One camera."""

    id: str = Field(description="320623/room")
    centre: str
    name: str
    title: str
    kind: str
    label: str | None
    owner: str
    share: Share = Field(description="Highest tier that may see it")
    picture: Picture | None
    stream: StreamView


class PlayView(BaseModel):
    """Where to view a camera and with which token."""

    whep_url: str
    token: str
    expires_at: datetime


class PublisherView(BaseModel):
    """A stream that was published here by no agent, as this gateway judges its picture."""

    id: str
    picture: Picture
    stream: StreamView


class PathView(BaseModel):
    """The chain of the last click on a camera. Lower hops tell their first picture with the next renewal."""

    trace: str | None = Field(description="W3C traceparent of the click")
    hops: list[HopTiming] = Field(description="From this gateway downward; empty where it was never asked for")


def routes(service: MediaService) -> APIRouter:
    """Return the routes of the cameras."""
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
        service.clicked(known.stream, request.headers.get("traceparent"))
        service.expect_viewer(known.stream)
        name_watched(request, caller.user, [known.stream])
        granted = service.play_pass(known.stream, caller.user)
        base = str(request.base_url).rstrip("/")
        return PlayView(whep_url=f"{base}{granted.path}", token=granted.token, expires_at=granted.expires_at)

    showing(service.snapshots, api)
    return _pictures(service, api)


def _pictures(service: MediaService, api: APIRouter) -> APIRouter:
    @api.get("/{centre}/{name}/path")
    async def path(centre: str, name: str, _: Annotated[Caller, require(*EVERYBODY)]) -> PathView:
        """Return how long each hop took when the stream was last asked for, from here down to its camera."""
        known = service.camera(stream_of(centre, name))
        hops = service.chains.path(known.stream)
        return PathView(trace=service.chains.trace(known.stream), hops=list(hops))

    @api.get("/{centre}/{name}/still", response_class=Response)
    async def still(
        request: Request,
        centre: str,
        name: str,
        _: Annotated[Caller, require(*WATCHERS)],
        width: Annotated[int, Query(ge=0, le=4096, description="at most this wide; 0: as the camera sends it")] = 0,
    ) -> Response:
        """Return the newest picture as image/jpeg; X-Frame-Age-Ms says how old it is, the ETag names the picture.

        A stream that is live here answers at once, another one is fetched and waited for.
        """
        known = service.camera(stream_of(centre, name))
        service.expect_viewer(known.stream)
        steps = -(-width // WIDTH_STEP) * WIDTH_STEP
        found = await service.still(known.stream, timeout_s=STILL_WITHIN_S, width=steps)
        tag = f'"{hashlib.sha256(found.jpeg).hexdigest()[:24]}"'
        headers = {"X-Frame-Age-Ms": str(found.frame_age_ms), "Cache-Control": "no-cache, private", "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.jpeg, 200, headers, media_type="image/jpeg")

    return api


def camera_view(service: MediaService, camera: KnownCamera, stats: StreamStats | None) -> CameraView:
    """Return a camera in the form of the API."""
    found = camera.picture
    picture = None
    if found is not None:
        picture = Picture(
            verdict=found.verdict,
            frame_age_ms=found.frame_age_ms,
            checked_at=found.checked_at,
            since=service.judged_since(camera.stream),
        )
    return CameraView(
        id=camera.stream,
        centre=camera.centre,
        name=camera.name,
        title=camera.title,
        kind=camera.kind,
        label=camera.label,
        owner=camera.owner,
        share=camera.share,
        picture=picture,
        stream=_stream_view(service, camera.stream, stats),
    )


def _stream_view(service: MediaService, stream: str, stats: StreamStats | None) -> StreamView:
    return StreamView(
        state=service.state(stream),
        viewers=stats.viewers if stats is not None else 0,
        codec=stats.codec if stats is not None else None,
        frame_rate=round(stats.frame_rate, 1) if stats is not None else 0.0,
        trouble=service.trouble(stream),
        since=service.since(stream),
        snapshot=snapshot_view(service.snapshots.get(stream)),
    )


def publisher_routes(service: MediaService) -> APIRouter:
    """Return the routes of publishers that no agent speaks for."""
    api = APIRouter(prefix="/api/v1/publishers", tags=["cameras"])

    @api.get("")
    async def publishers(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[PublisherView] | None]:
        """List them: a console's camera in a call, a foreign WHIP client."""
        stats = await service.stream_stats()
        items = []
        for stream in service.judging.judged():
            found = service.judging.health(stream)
            if found is not None:
                picture = Picture(verdict=found.verdict, frame_age_ms=found.frame_age_ms, checked_at=found.checked_at)
                items.append(
                    PublisherView(id=stream, picture=picture, stream=_stream_view(service, stream, stats.get(stream)))
                )
        return {"items": items, "next": None}

    return api
