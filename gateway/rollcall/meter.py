"""Reads the engine's figures for all points that are watched: one question a quarter second, however many they are."""

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.media import EngineStats, SessionKind, SessionStats, StreamStats
from gateway.rollcall.rules.line import Counters
from gateway.rollcall.rules.sound import Loudness, decibels
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor
from protocols.errors import SilianError

logger = logging.getLogger(__name__)
EVERY_S = 0.25
LINE_S = 1.0
LONGEST_S = 600.0
_TASK = "meter"
PUBLISHERS = frozenset({SessionKind.WHIP, SessionKind.PULL})


class Stats(Protocol):
    """The engine's figures."""

    async def stats(self) -> EngineStats:
        """Return current figures."""
        ...


@dataclass(slots=True)
class Track:
    """What was measured of one stream, at most `LONGEST_S`."""

    sound: deque[Loudness] = field(default_factory=lambda: deque(maxlen=int(LONGEST_S / EVERY_S)))
    line: deque[Counters] = field(default_factory=lambda: deque(maxlen=int(LONGEST_S / LINE_S)))


class Meter:
    """`follow` a stream until `leave`; asks nobody while nothing is followed."""

    def __init__(self, stats: Stats, clock: Clock, tasks: Supervisor) -> None:
        self._stats = stats
        self._clock = clock
        self._tasks = tasks
        self._tracks: dict[str, list[Track]] = {}

    def follow(self, stream: str) -> Track:
        """Begin a track."""
        track = Track()
        self._tracks.setdefault(stream, []).append(track)
        if not self._tasks.running(_TASK):
            self._tasks.start(_TASK, self._run, restart=False)
        return track

    def leave(self, stream: str, track: Track) -> None:
        """End a track."""
        tracks = [one for one in self._tracks.get(stream, []) if one is not track]
        if tracks:
            self._tracks[stream] = tracks
        else:
            self._tracks.pop(stream, None)

    async def _run(self) -> None:
        while self._tracks:
            try:
                self._take(await self._stats.stats(), self._clock.monotonic())
            except SilianError as error:
                logger.warning("no figures of the engine: %s", error)
            await self._clock.sleep(EVERY_S)

    def _take(self, stats: EngineStats, now: float) -> None:
        lines = {line.stream: line for line in stats.lines if line.kind in PUBLISHERS}
        for one in stats.streams:
            for track in self._tracks.get(one.stream, ()):
                track.sound.append(Loudness(now, decibels(one.audio_level) if one.audio else None))
                if not track.line or now - track.line[-1].at >= LINE_S:
                    track.line.append(_counters(one, lines.get(one.stream), now))


def _counters(one: StreamStats, line: SessionStats | None, now: float) -> Counters:
    rtt = None if line is None else line.rtt_ms
    return Counters(now, one.packets_in, one.lost, one.bytes_in, rtt, one.frame_rate)
