"""A media engine without packets: sessions and states as a test wishes them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from gateway.ports.media import (
    EndReason,
    EngineRestarted,
    EngineStats,
    Layer,
    MediaEvent,
    RecordingEnded,
    RecordingFigures,
    SessionAnswer,
    SessionEnded,
    SessionKind,
    Showing,
    Slot,
    SlotChanged,
    Still,
    StreamChanged,
    StreamState,
    TrickleAnswer,
)
from protocols.errors import BadMediaError, LinkError, NotFoundError


class PaperEngine:
    """Implements the `media` port on paper, for tests of the rooms above it."""

    capabilities = frozenset()

    def __init__(self) -> None:
        self.sessions: dict[str, tuple[str, SessionKind]] = {}
        self.clients: list[str | None] = []
        self.dialled: list[tuple[str, str, str]] = []
        self.assigned: list[Slot] = []
        self.slots = 9
        self.carried: list[tuple[str, frozenset[Layer]]] = []
        self.reachable = True
        self.stills: dict[str, Still] = {}
        self.recordings: dict[str, RecordingFigures] = {}
        self._number = 0
        self._queues: set[asyncio.Queue[MediaEvent]] = set()

    def _add(self, stream: str, kind: SessionKind) -> str:
        self._number += 1
        session_id = f"s{self._number}"
        self.sessions[session_id] = (stream, kind)
        return session_id

    async def publish(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        self.clients.append(client)
        self._judge(offer)
        session_id = self._add(stream, SessionKind.WHIP)
        self.tell(StreamChanged(stream, StreamState.LIVE))
        return SessionAnswer(session_id, stream, "v=0 answer", f"e-{session_id}")

    async def play(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        self.clients.append(client)
        self._judge(offer)
        session_id = self._add(stream, SessionKind.WHEP)
        return SessionAnswer(session_id, stream, "v=0 answer", f"e-{session_id}")

    async def wall(self, offer: str, *, client: str | None = None) -> SessionAnswer:
        self.clients.append(client)
        self._judge(offer)
        session_id = self._add("", SessionKind.WALL)
        return SessionAnswer(session_id, "", "v=0 answer", f"e-{session_id}")

    async def assign(self, session_id: str, slots: Sequence[Slot]) -> None:
        if session_id not in self.sessions:
            raise NotFoundError(session_id)
        if any(slot.index >= self.slots for slot in slots):
            raise BadMediaError("no such slot")
        self.assigned += slots
        for slot in slots:
            showing = Showing.EMPTY if slot.stream is None else Showing.WAITING
            self.tell(SlotChanged(session_id, slot.kind, slot.index, slot.stream, showing))

    @staticmethod
    def _judge(offer: str) -> None:
        if not offer.startswith("v=0"):
            raise BadMediaError("not an offer")

    async def trickle(self, session_id: str, fragment: str, etag: str | None) -> TrickleAnswer:
        if session_id not in self.sessions:
            raise NotFoundError(session_id)
        if etag == "*":
            return TrickleAnswer("a=ice-ufrag:new", f"e2-{session_id}")
        return TrickleAnswer(None, f"e-{session_id}")

    async def end(self, session_id: str) -> None:
        if session_id not in self.sessions:
            raise NotFoundError(session_id)
        self.lose(session_id, EndReason.CLOSED)

    async def relay(self, stream: str, whip_url: str, token: str) -> str:
        return self._dial(stream, whip_url, token, SessionKind.RELAY)

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        return self._dial(stream, whep_url, token, SessionKind.PULL)

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        if session_id not in self.sessions:
            raise NotFoundError(session_id)
        self.carried.append((session_id, layers))

    def _dial(self, stream: str, url: str, token: str, kind: SessionKind) -> str:
        self.dialled.append((stream, url, token))
        if not self.reachable:
            raise LinkError("unreachable")
        return self._add(stream, kind)

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        if stream not in self.stills:
            raise NotFoundError(f"no picture of {stream} within {timeout_s:g} s")
        return self.stills[stream]

    async def record(self, stream: str, path: Path, *, layer: Layer = Layer.MAIN) -> str:
        self._number += 1
        file = path.with_suffix(".mp4")
        file.write_bytes(b"picture" * 100)
        self.recordings[f"r{self._number}"] = RecordingFigures(f"r{self._number}", stream, 1.5, 700, 0, (file.name,))
        return f"r{self._number}"

    async def stop_recording(self, recording: str, reason: str = "closed") -> RecordingEnded:
        known = self.recordings.pop(recording, None)
        if known is None:
            raise NotFoundError(recording)
        ended = RecordingEnded(recording, known.stream, reason, known.seconds, known.octets, known.lost, known.files)
        self.tell(ended)
        return ended

    async def stats(self) -> EngineStats:
        return EngineStats((), {}, {}, 0, 0.0, recordings=tuple(self.recordings.values()))

    async def events(self) -> AsyncIterator[MediaEvent]:
        queue: asyncio.Queue[MediaEvent] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    @property
    def heard(self) -> bool:
        return bool(self._queues)

    def tell(self, event: MediaEvent) -> None:
        for queue in self._queues:
            queue.put_nowait(event)

    def lose(self, session_id: str, reason: EndReason) -> None:
        stream, kind = self.sessions.pop(session_id)
        self.tell(SessionEnded(session_id, stream, kind, reason))
        if kind is SessionKind.WHIP:
            self.tell(StreamChanged(stream, StreamState.ABSENT))

    def die(self) -> None:
        streams = tuple(sorted({stream for stream, _ in self.sessions.values()}))
        sessions = tuple(self.sessions)
        for session_id in sessions:
            self.lose(session_id, EndReason.WORKER_LOST)
        self.tell(EngineRestarted(streams, streams, sessions))

    def of(self, kind: SessionKind) -> list[str]:
        return [session_id for session_id, (_, found) in self.sessions.items() if found is kind]
