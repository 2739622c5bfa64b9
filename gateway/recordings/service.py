"""Begins, watches and ends recordings; a row for each is in the store before its first packet is on the disk.

A running recording lives in the engine. What a gateway that died has left running is closed at its next start, with
what is on the disk.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, insert, select, update

from gateway.ports.media import RecordingEnded, RecordingFigures
from gateway.recordings.machine import Ending, Quota, RecordingState, ending_of, ends_at, part_number
from gateway.recordings.needs import RecordingNeeds
from gateway.recordings.tables import RECORDINGS
from protocols.aio.clock import new_ulid
from protocols.aio.tasks import Supervisor
from protocols.errors import LinkError, NotFoundError, SilianError, SpoolFullError, WrongMomentError

logger = logging.getLogger(__name__)
LOOK_S = 1.0
PAGE = 50


@dataclass(slots=True)
class Recording:
    """One row. `files` are name, octets and sha256 of each part, known when it is closed."""

    id: str
    stream: str
    state: RecordingState
    reason: str
    started_by: str
    started_at: datetime
    limit_s: float | None = None
    ending: Ending | None = None
    stopped_by: str | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    octets: int = 0
    lost: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, row: Any) -> "Recording":
        """Build it from a row of the store."""
        values = {one.name: row[one.name] for one in fields(cls)}
        values["state"] = RecordingState(values["state"])
        values["ending"] = Ending(values["ending"]) if values["ending"] is not None else None
        return cls(**values)


@dataclass(slots=True)
class _Live:
    record: Recording
    name: str
    asked: Ending | None = None
    closing: asyncio.Lock = field(default_factory=asyncio.Lock)


class RecordingService:
    """The recordings room. Use it with `async with`; the engine must be running."""

    def __init__(self, needs: RecordingNeeds, directory: Path, quota: Quota) -> None:
        """`directory` holds the files; it is made where it is not there."""
        self._needs, self._directory, self._quota = needs, directory, quota
        self._live: dict[str, _Live] = {}
        self._closed_octets = 0
        self._figures: dict[str, RecordingFigures] = {}
        self._supervisor = Supervisor("recordings", clock=needs.clock)
        self._beginning = asyncio.Lock()
        needs.metrics.live("recordings_running", lambda: [((), float(len(self._live)))])
        needs.metrics.live("recording_bytes", lambda: [((), float(self.octets))])
        needs.metrics.live("recording_quota_bytes", lambda: [((), quota.gib * (1 << 30))])

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._directory.mkdir, mode=0o700, parents=True, exist_ok=True)
        await self._close_interrupted()
        await self._count()
        events = self._needs.engine.events()

        async def follow() -> None:
            async for event in events:
                if isinstance(event, RecordingEnded):
                    await self._take_end(event)

        self._supervisor.start("ends", follow)
        self._supervisor.start("limits", self._keep_limits)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._supervisor.stop()
        for live in list(self._live.values()):
            await self._end(live, Ending.SHUTDOWN)

    @property
    def octets(self) -> int:
        """What all recordings take on the disk, about a second old."""
        return self._closed_octets + sum(self._octets_of(live) for live in self._live.values())

    def _octets_of(self, live: _Live) -> int:
        figures = self._figures.get(live.name)
        return max(live.record.octets, figures.octets if figures is not None else 0)

    # -- what people ask -----------------------------------------------------------------------------------------

    async def start(self, stream: str, *, seconds: float | None, reason: str, by: str) -> Recording:
        """Begin a recording; the stream is fetched for it. Raises NotFoundError, SpoolFullError at the quota."""
        needs = self._needs
        needs.ways.camera(stream)
        async with self._beginning:
            if self._quota.full(self.octets):
                needs.metrics.count("recordings_refused_total", reason="quota")
                raise SpoolFullError(
                    f"recordings take all of media.recording_gib ({self._quota.gib:g} GiB); remove some, or raise it"
                )
            record = Recording(
                new_ulid(needs.clock), stream, RecordingState.RUNNING, reason, by, needs.clock.now(), seconds
            )
            async with needs.store.unit() as uow:
                await uow.execute(insert(RECORDINGS), asdict(record))
            needs.streams.hold(stream, _holder(record))
            try:
                name = await needs.engine.record(stream, self._directory / record.id)
            except SilianError:
                await self._close(_Live(record, ""), Ending.FAILED)
                raise
            self._live[record.id] = _Live(record, name)
        logger.info("recording begun", extra={"stream": stream, "recording": record.id})
        return record

    async def stop(self, recording_id: str, *, by: str) -> Recording:
        """Stop a recording and return it as it is on the disk; stopping one that is over is harmless."""
        live = self._live.get(recording_id)
        if live is not None:
            live.record.stopped_by = live.record.stopped_by or by
            await self._end(live, Ending.STOPPED)
        return await self.get(recording_id)

    async def get(self, recording_id: str) -> Recording:
        """Return one; raises NotFoundError."""
        async with self._needs.store.reading() as reader:
            found = (await reader.execute(select(RECORDINGS).where(RECORDINGS.c.id == recording_id))).mappings().first()
        if found is None:
            raise NotFoundError(f"no recording {recording_id}")
        return self._grown(Recording.read(found))

    async def page(self, before: str | None = None, limit: int = PAGE) -> list[Recording]:
        """Return the newest recordings, or those older than the one named `before`."""
        newest = select(RECORDINGS).order_by(RECORDINGS.c.id.desc()).limit(limit)
        if before is not None:
            newest = newest.where(RECORDINGS.c.id < before)
        async with self._needs.store.reading() as reader:
            return [self._grown(Recording.read(row)) for row in (await reader.execute(newest)).mappings().all()]

    async def file(self, recording_id: str, part: int) -> Path:
        """Return the path of a part (from 1), also of one that is still being written; raises NotFoundError."""
        await self.get(recording_id)
        for path in await asyncio.to_thread(self._parts, recording_id):
            if part_number(path.name, recording_id) == part:
                return path
        raise NotFoundError(f"recording {recording_id} has no file {part}; nothing came, or it was removed")

    async def remove(self, recording_id: str) -> Recording:
        """Remove the files of a closed recording; its row stays. Raises NotFoundError, WrongMomentError."""
        record = await self.get(recording_id)
        if record.state is RecordingState.RUNNING:
            raise WrongMomentError(f"recording {recording_id} runs; stop it first")
        for path in await asyncio.to_thread(self._parts, recording_id):
            await asyncio.to_thread(path.unlink, missing_ok=True)
        record.state, record.octets = RecordingState.REMOVED, 0
        await self._write(record)
        await self._count()
        return record

    def _grown(self, record: Recording) -> Recording:
        live = self._live.get(record.id)
        figures = self._figures.get(live.name) if live is not None else None
        if figures is not None:
            record.seconds, record.octets, record.lost = figures.seconds, figures.octets, figures.lost
        return record

    # -- ends ----------------------------------------------------------------------------------------------------

    async def _end(self, live: _Live, why: Ending) -> None:
        live.asked = live.asked or why
        try:
            ended = await self._needs.engine.stop_recording(live.name)
        except NotFoundError:
            await self._close(live, live.asked)  # it ended by itself meanwhile, and its event may be lost
        else:
            await self._take_end(ended)

    async def _take_end(self, ended: RecordingEnded) -> None:
        live = next((one for one in self._live.values() if one.name == ended.recording), None)
        if live is not None:
            live.record.seconds, live.record.lost = ended.seconds, ended.lost
            await self._close(live, ending_of(ended.reason, live.asked))

    async def _close(self, live: _Live, ending: Ending) -> None:
        """Write the end down, once: files, their sizes and hashes. What is cut off in this is done by the next one."""
        async with live.closing:
            if live.record.state is not RecordingState.RUNNING:
                return
            try:
                await self._settle(live.record, ending)
            except BaseException:
                live.record.state = RecordingState.RUNNING
                raise
            self._live.pop(live.record.id, None)
            self._closed_octets += live.record.octets
        self._needs.metrics.count("recordings_ended_total", reason=ending.value)
        told = {"stream": live.record.stream, "recording": live.record.id, "reason": ending.value}
        logger.info("recording ended", extra=told)

    async def _settle(self, record: Recording, ending: Ending) -> None:
        record.state, record.ending, record.ended_at = RecordingState.CLOSED, ending, self._needs.clock.now()
        self._needs.streams.release(record.stream, _holder(record))
        record.files = await asyncio.to_thread(self._hashed, record.id)
        record.octets = sum(file["octets"] for file in record.files)
        await self._write(record)

    async def _close_interrupted(self) -> None:
        """Close what a gateway that died has left: how long it ran is told by the newest file."""
        async with self._needs.store.reading() as reader:
            left = await reader.execute(select(RECORDINGS).where(RECORDINGS.c.state == RecordingState.RUNNING))
            rows = [Recording.read(row) for row in left.mappings().all()]
        for record in rows:
            paths = await asyncio.to_thread(self._parts, record.id)
            last = max((path.stat().st_mtime for path in paths), default=record.started_at.timestamp())
            record.seconds = max(0.0, round(last - record.started_at.timestamp(), 3))
            await self._close(_Live(record, ""), Ending.RESTART)

    async def _keep_limits(self) -> None:
        while True:
            await self._needs.clock.sleep(LOOK_S)
            try:
                self._figures = {one.recording: one for one in (await self._needs.engine.stats()).recordings}
            except LinkError:
                logger.debug("no figures of recordings: the media worker is being replaced")
            now, full = self._needs.clock.now(), self._quota.full(self.octets)
            for live in list(self._live.values()):
                until = ends_at(live.record.started_at, live.record.limit_s)
                if full:
                    await self._end(live, Ending.QUOTA)
                elif until is not None and now >= until:
                    await self._end(live, Ending.TIME)

    # -- files and rows ------------------------------------------------------------------------------------------

    def _parts(self, recording_id: str) -> Sequence[Path]:
        found = [(part_number(path.name, recording_id), path) for path in self._directory.glob(f"{recording_id}*")]
        return [path for number, path in sorted((n, path) for n, path in found if n is not None)]

    def _hashed(self, recording_id: str) -> list[dict[str, Any]]:
        files = []
        for path in self._parts(recording_id):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files.append({"name": path.name, "octets": path.stat().st_size, "sha256": digest})
        return files

    async def _write(self, record: Recording) -> None:
        async with self._needs.store.unit() as uow:
            await uow.execute(update(RECORDINGS).where(RECORDINGS.c.id == record.id).values(**asdict(record)))

    async def _count(self) -> None:
        sum_of = select(func.coalesce(func.sum(RECORDINGS.c.octets), 0))
        async with self._needs.store.reading() as reader:
            rows = await reader.execute(sum_of.where(RECORDINGS.c.state == RecordingState.CLOSED))
            self._closed_octets = int(rows.scalar_one())


def _holder(record: Recording) -> str:
    return f"recording-{record.id}"
