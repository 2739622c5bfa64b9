"""HTTP of snapshots: posted by the node below with its publisher's token, shown to people with their age."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from gateway.media.snapshots import Snapshots
from gateway.web.auth import Caller, Role, require
from gateway.web.journal import name_watched
from gateway.web.problems import problem
from protocols.errors import NotFoundError, SilianError, TooLargeError
from protocols.ids import stream_of
from protocols.snapshot import AGE_MS, KIND, MOST_BYTES, TAKEN_AT, Snapshot, headers_of, times_of

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

WATCHERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER, Role.OPERATIONS)


class SnapshotView(BaseModel):
    """A still in place of the stream, whose media path is down: never a live picture."""

    taken_at: datetime = Field(description="By the clock of the camera's owner")
    age_ms: int = Field(description="Its age as this was answered")


def snapshot_view(snapshot: Snapshot | None) -> SnapshotView | None:
    """Return it in the form of the API."""
    if snapshot is None:
        return None
    return SnapshotView(taken_at=snapshot.taken_at, age_ms=round(snapshot.age_s * 1000))


def posting(snapshots: Snapshots, route: "type[APIRoute]", bearer: Callable[[Request], str | None]) -> APIRouter:
    """Return the route of nodes."""
    router = APIRouter(prefix="/whip", route_class=route, tags=["media"])

    @router.put("/{centre}/{camera}/snapshot", status_code=204, operation_id="whip_snapshot", response_class=Response)
    async def put(request: Request, centre: str, camera: str) -> Response:
        """Show one picture (image/jpeg) in place of a stream whose media path is down."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
            snapshots.count("unsupported_type")
            return problem(request, "unsupported_type", 415, info=f"send the snapshot as {KIND}")
        try:
            stream, token = stream_of(centre, camera), bearer(request)
            snapshots.admit(stream, token)
            taken_at, age_s = times_of(request.headers.get(TAKEN_AT), request.headers.get(AGE_MS))
            snapshots.take(Snapshot(stream, await _body(request), taken_at, age_s), token)
        except SilianError as error:
            snapshots.count(error.code)
            raise
        return Response(status_code=204)

    return router


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise TooLargeError(f"the snapshot has more than {MOST_BYTES} bytes; send a smaller or poorer one")
    return bytes(body)


def showing(snapshots: Snapshots, api: APIRouter) -> None:
    """Add the route of people to those of the cameras."""

    @api.get("/{centre}/{name}/snapshot", response_class=Response)
    async def snapshot(
        request: Request, centre: str, name: str, caller: Annotated[Caller, require(*WATCHERS)]
    ) -> Response:
        """Return the still that stands in place of the stream, as image/jpeg; 404 where none does.

        X-Snapshot-Taken-At and X-Snapshot-Age-Ms say when it was taken and how old it is now.
        """
        stream = stream_of(centre, name)
        found = snapshots.get(stream)
        if found is None:
            raise NotFoundError(f"no snapshot stands in place of {stream}")
        name_watched(request, caller.user, [stream])
        tag = f'"{hashlib.sha256(found.jpeg).hexdigest()[:24]}"'
        headers = {**headers_of(found), "Cache-Control": "no-cache, private", "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.jpeg, 200, headers, media_type=KIND)
