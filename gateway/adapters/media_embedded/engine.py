"""Control side of the embedded engine: the `media` port on top of a supervised worker process.

**The control loop never touches a packet**: it makes SDP, tells the worker what to do and passes on its events.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

from gateway.ports.media import (
    Capability,
    EngineStats,
    MediaEvent,
    SessionAnswer,
    Still,
    TrickleAnswer,
)
from protocols.errors import ConfigError, NeedsError

BACKENDS = ("reference",)


class EmbeddedMediaEngine:
    """`gateway.ports.media.MediaEngine`, embedded. Start it with `async with`; leaving ends the worker.

    `state_dir` keeps the engine's own files (made if absent). `advertise` lists the addresses written into answers as
    host candidates: loopback alone binds loopback alone, anything else binds all interfaces. `port` is the worker's
    one UDP port (0: any free one, kept over a worker's restart). `backend` chooses the packet path; raises ConfigError
    for an unknown one.
    """

    def __init__(
        self, *, state_dir: Path, advertise: Sequence[str] = ("127.0.0.1",), port: int = 0, backend: str = "reference"
    ) -> None:
        if backend not in BACKENDS:
            raise ConfigError(f"media backend {backend!r} does not exist; choose one of {', '.join(BACKENDS)}")
        self.state_dir = state_dir
        self.advertise = tuple(advertise)
        self.port = port
        self.backend = backend

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this engine can do."""
        return frozenset()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def publish(self, stream: str, offer: str) -> SessionAnswer:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def play(self, stream: str, offer: str) -> SessionAnswer:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def trickle(self, session_id: str, fragment: str, etag: str | None) -> TrickleAnswer:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def end(self, session_id: str) -> None:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def relay(self, stream: str, whip_url: str, token: str) -> str:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def still(self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0) -> Still:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def stats(self) -> EngineStats:
        """See the port."""
        raise NeedsError("needs the media worker")

    async def events(self) -> AsyncIterator[MediaEvent]:
        """See the port."""
        raise NeedsError("needs the media worker")
        yield
