"""HTTP of the recordings room. Every start, stop and removal is audited as a write, every download as watching."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from gateway.recordings.machine import Ending, RecordingState
from gateway.recordings.service import PAGE, Recording, RecordingService
from gateway.web.auth import Caller, Role, require
from gateway.web.journal import name_watched
from protocols.ids import split_stream

RECORDERS = (Role.DISPATCHER, Role.DUTY_OFFICER)
READERS = (*RECORDERS, Role.CALLER, Role.AUDITOR)
REMOVERS = (Role.OPERATIONS,)
LONGEST_S = 24 * 3600
TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska"}


class RecordingBody(BaseModel):
    """What to record, for how long (without: until it is stopped) and why."""

    stream: str = Field(description="320623/room")
    seconds: float | None = Field(default=None, gt=0, le=LONGEST_S)
    reason: str = Field(default="", max_length=200)


class PartView(BaseModel):
    """One file of a closed recording."""

    url: str
    name: str
    bytes: int
    sha256: str


class RecordingView(BaseModel):
    """One recording. `seconds`, `bytes` and `lost` grow while it runs; `files` are known when it is closed."""

    id: str
    stream: str
    state: RecordingState
    ending: Ending | None
    reason: str
    started_by: str
    stopped_by: str | None
    started_at: datetime
    ended_at: datetime | None
    limit_s: float | None
    seconds: float
    bytes: int
    lost: int
    files: list[PartView]


def routes(service: RecordingService) -> APIRouter:
    """Return all routes of the room."""
    api = APIRouter(prefix="/api/v1/recordings", tags=["recordings"])
    _files(service, api)

    @api.post("", status_code=201)
    async def start(
        response: Response, body: RecordingBody, caller: Annotated[Caller, require(*RECORDERS)]
    ) -> RecordingView:
        """Begin a recording; the stream is fetched for it. 507 where the quota is used up."""
        split_stream(body.stream)
        record = await service.start(body.stream, seconds=body.seconds, reason=body.reason, by=caller.user)
        response.headers["Location"] = f"/api/v1/recordings/{record.id}"
        return view(record)

    @api.get("")
    async def page(
        _: Annotated[Caller, require(*READERS)],
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
    ) -> dict[str, list[RecordingView] | str | None]:
        """List recordings, the newest first."""
        found = await service.page(cursor, limit)
        return {"items": [view(one) for one in found], "next": found[-1].id if len(found) == limit else None}

    @api.get("/{recording_id}")
    async def get(recording_id: str, _: Annotated[Caller, require(*READERS)]) -> RecordingView:
        """Return one recording."""
        return view(await service.get(recording_id))

    @api.delete("/{recording_id}")
    async def stop(recording_id: str, caller: Annotated[Caller, require(*RECORDERS)]) -> RecordingView:
        """Stop a recording, harmless for one that is over; its files stay."""
        return view(await service.stop(recording_id, by=caller.user))

    return api


def _files(service: RecordingService, api: APIRouter) -> None:
    @api.get("/{recording_id}/file", response_class=FileResponse)
    async def file(
        request: Request,
        recording_id: Annotated[str, Path(max_length=26)],
        caller: Annotated[Caller, require(*READERS)],
        part: Annotated[int, Query(ge=1)] = 1,
    ) -> FileResponse:
        """Return a file, with byte ranges; also one that is still being written, as far as it goes."""
        path = await service.file(recording_id, part)
        record = await service.get(recording_id)
        name_watched(request, caller.user, [record.stream])
        started = record.started_at.strftime("%Y%m%dT%H%M%SZ")
        name = f"{record.stream.replace('/', '-')}-{started}{'' if part == 1 else f'-{part}'}{path.suffix}"
        headers = {"Cache-Control": "private, no-cache"}
        return FileResponse(path, media_type=TYPES[path.suffix], filename=name, headers=headers)

    @api.delete("/{recording_id}/file")
    async def remove(recording_id: str, _: Annotated[Caller, require(*REMOVERS)]) -> RecordingView:
        """Remove the files of a closed recording for good; what it was stays on record."""
        return view(await service.remove(recording_id))


def view(record: Recording) -> RecordingView:
    """Return a recording in the form of the API."""
    base = f"/api/v1/recordings/{record.id}/file"
    there = record.files if record.state is RecordingState.CLOSED else []
    files = [
        PartView(url=f"{base}?part={number}", name=one["name"], bytes=one["octets"], sha256=one["sha256"])
        for number, one in enumerate(there, 1)
    ]
    return RecordingView(
        id=record.id,
        stream=record.stream,
        state=record.state,
        ending=record.ending,
        reason=record.reason,
        started_by=record.started_by,
        stopped_by=record.stopped_by,
        started_at=record.started_at,
        ended_at=record.ended_at,
        limit_s=record.limit_s,
        seconds=record.seconds,
        bytes=record.octets,
        lost=record.lost,
        files=files,
    )
