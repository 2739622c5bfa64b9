"""A recordings room on a real store and real files, with an engine on paper."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import EventBus
from gateway.metrics import Metrics
from gateway.recordings.machine import Quota
from gateway.recordings.needs import RecordingNeeds
from gateway.recordings.service import RecordingService
from protocols.aio.clock import SystemClock
from tests.support.databases import at_newest_schema
from tests.support.dispatch_stage import Streams
from tests.support.engines import PaperEngine
from tests.support.rooms import Ways

STREAM = "320612/room"


@dataclass
class Stage:
    room: RecordingService
    engine: PaperEngine
    streams: Streams
    metrics: Metrics
    directory: Path


@asynccontextmanager
async def stage(state: Path, *, gib: float = 1.0, engine: PaperEngine | None = None):
    """Open the room; the database is made at the first time."""
    engine, streams, metrics = engine or PaperEngine(), Streams(), Metrics()
    file = state / "gateway.db"
    if not file.exists():
        at_newest_schema(file)
    clock = SystemClock()
    async with SqliteStore(file, "320600", clock, EventBus().publish) as store:
        needs = RecordingNeeds(store, engine, streams, Ways.city(("320612",)), clock, metrics)
        room = RecordingService(needs, state / "recordings", Quota(gib))
        async with room:
            yield Stage(room, engine, streams, metrics, state / "recordings")
