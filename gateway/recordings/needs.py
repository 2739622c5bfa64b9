"""What the recordings room needs of others; `gateway.app` supplies it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.metrics import Metrics
from gateway.ports.media import EngineStats, MediaEvent, RecordingEnded
from gateway.ports.store import Store
from protocols.aio.clock import Clock


class Recorder(Protocol):
    """The media engine, as far as recordings need it."""

    async def record(self, stream: str, path: Path) -> str:
        """Record into new files beside `path`; returns the recording's name in the engine."""
        ...

    async def stop_recording(self, recording: str) -> RecordingEnded:
        """Close it; raises NotFoundError for one that is over."""
        ...

    async def stats(self) -> EngineStats:
        """Return figures, those of running recordings among them. Raises LinkError."""
        ...

    def events(self) -> AsyncIterator[MediaEvent]:
        """Yield events from now on."""
        ...


class Streams(Protocol):
    """The media room: it makes a stream come."""

    def hold(self, stream: str, holder: str) -> None:
        """Want a stream until `release`."""
        ...

    def release(self, stream: str, holder: str) -> None:
        """Let go what `hold` held."""
        ...


class Camera(Protocol):
    """One camera of the subtree."""

    @property
    def stream(self) -> str:
        """`320623/room`."""
        ...


class Ways(Protocol):
    """The registry."""

    def camera(self, stream: str) -> Camera:
        """Return one camera; raises NotFoundError."""
        ...


@dataclass(frozen=True, slots=True)
class RecordingNeeds:
    """All of it."""

    store: Store
    engine: Recorder
    streams: Streams
    ways: Ways
    clock: Clock
    metrics: Metrics
