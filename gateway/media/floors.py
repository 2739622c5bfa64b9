"""Who speaks and who is heard: walls that listen to several voices, and the two sides of each call.

The levels are those that publishers write into their packets (RFC 6464); no sound is decoded for it. What a listener
shall hear stands in the sound slots of his wall, so that a voice that is not chosen, or is muted, is not forwarded to
him.
"""

import asyncio
import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.events import EventBus, FloorChanged
from gateway.media.floor import MOST, Floor, Voice
from gateway.media.mutes import Mutes
from gateway.media.speaker import Speakers
from gateway.metrics import Metrics
from gateway.ports.media import Layer, Slot, StreamState, StreamStats
from gateway.ports.store import Store
from protocols.aio.clock import Clock
from protocols.errors import LinkError, NotFoundError

if TYPE_CHECKING:
    from gateway.media.service import MediaService

logger = logging.getLogger(__name__)
STEP_S = 0.2
"""How often levels are looked at; the engine's figures are as old at most."""
SILENCE = 127


@dataclass(slots=True)
class _Room:
    """One conversation: `slots` are the sounds of the listener's wall, none for a call that its two sides see to."""

    voices: tuple[str, ...]
    floor: Floor
    slots: list[str | None] = field(default_factory=list)
    speakers: Speakers = field(default_factory=Speakers)
    told: tuple[str | None, tuple[str, ...]] = (None, ())
    muted: tuple[str, ...] | None = None
    """Who of these was told to be muted; None until the first telling, which every conversation has."""


class Floors:
    """Part of the media room; run `run` beside the rest. Muting (`mutes`) holds for every listener here.

    Conversations live in memory, as walls and calls come again by themselves; who is muted stands in the store.
    """

    def __init__(self, media: "MediaService", clock: Clock, bus: EventBus, metrics: Metrics, store: Store) -> None:
        self._media = media
        self._clock = clock
        self._bus = bus
        self._metrics = metrics
        self._rooms: dict[str, _Room] = {}
        self._some = asyncio.Event()
        self.mutes = Mutes(store, clock, self._stands, self._mutes_changed)
        metrics.live("floor_muted", lambda: [((), float(len(self.mutes.streams)))])

    async def listen(self, wall: str, voices: Sequence[str], own: str | None = None, places: int = MOST) -> None:
        """Let a wall hear the floor of these streams in its first sound slots; without voices it hears none again.

        `own` is the listener's own voice. Raises NotFoundError, BadMediaError for a wall with fewer sound slots.
        """
        if not voices:
            await self.leave(wall)
            return
        room = self._rooms.get(wall)
        if room is None:
            await self._media.walls.assign(wall, [Slot("audio", place, None) for place in range(places)])
            room = self._rooms[wall] = _Room((), Floor(own, places), [None] * places)
        room.voices = tuple(dict.fromkeys(voices))
        self._some.set()

    async def leave(self, wall: str) -> None:
        """End what `listen` began; an unknown wall is ignored."""
        room = self._rooms.pop(wall, None)
        if room is not None:
            await self._media.walls.assign(wall, [Slot("audio", place, None) for place in range(len(room.slots))])

    def converse(self, key: str, voices: Sequence[str]) -> None:
        """Tell from now on who of these speaks, until `part`."""
        self._rooms[key] = _Room(tuple(voices), Floor())
        self._some.set()

    def part(self, key: str) -> None:
        """End a conversation, or forget a wall that is over; an unknown one is ignored."""
        self._rooms.pop(key, None)

    def _stands(self, stream: str) -> bool:
        return self._media.stands(stream) or any(
            stream in room.voices for room in self._rooms.values() if not room.slots
        )

    def _mutes_changed(self, streams: frozenset[str]) -> None:
        for key, room in self._rooms.items():
            if not streams.isdisjoint(room.voices):
                self._say(key, room, *room.told)

    def state(self, key: str) -> tuple[str | None, tuple[str, ...]]:
        """Return who speaks and who is heard; nobody where there is no such conversation."""
        room = self._rooms.get(key)
        return room.told if room is not None else (None, ())

    async def run(self) -> None:
        """Look at the levels, for ever."""
        while True:
            await self._some.wait()
            if not self._rooms:
                self._some.clear()
                continue
            await self.step()
            await self._clock.sleep(STEP_S)

    async def step(self) -> None:
        """Look at the levels once."""
        figures = await self._media.stream_stats()
        for key, room in tuple(self._rooms.items()):
            await self._look(key, room, figures)

    async def _look(self, key: str, room: _Room, figures: dict[str, StreamStats]) -> None:
        now = self._clock.monotonic()
        voices = [self._voice(one) for name in room.voices if (one := figures.get(name)) is not None and _sounds(one)]
        heard = room.floor.choose(voices, now)
        if room.slots:
            try:
                heard = await self._give(key, room, heard)
            except NotFoundError:
                self._rooms.pop(key, None)
                return
            except LinkError as error:  # the worker is being replaced; the wall comes again
                logger.info("floor not given", extra={"wall": key, "error": str(error)})
                return
        open_ = [voice for voice in voices if not voice.muted]
        for voice in open_:
            if voice.level is not None:
                room.speakers.heard(voice.stream, _minus_dbov(voice.level), now)
        if room.speakers.current not in {voice.stream for voice in open_}:
            room.speakers.forget(room.speakers.current or "")
        speaker = room.speakers.tick(now)
        if (speaker, heard) != room.told or self._muted_in(room) != room.muted:
            if speaker not in {None, room.told[0]}:
                self._metrics.count("floor_speaker_changes_total")
            self._say(key, room, speaker, heard)

    def _voice(self, figures: StreamStats) -> Voice:
        """Tell how a stream stands. What is published here directly, or comes from above, is command."""
        stream = figures.stream
        return Voice(
            stream, figures.audio_level, muted=stream in self.mutes.streams, command=self._media.asker.is_own(stream)
        )

    async def _give(self, wall: str, room: _Room, heard: Collection[str]) -> tuple[str, ...]:
        """Put the voices into the wall's slots; who keeps the floor keeps the slot. Returns those that have one."""
        chosen = list(heard)[: len(room.slots)]
        slots: list[str | None] = [stream if stream in chosen else None for stream in room.slots]
        for stream in chosen:
            if stream not in slots:
                slots[slots.index(None)] = stream
        changed = [
            Slot("audio", place, stream, Layer.THUMB, 0)
            for place, stream in enumerate(slots)
            if stream != room.slots[place]
        ]
        if changed:
            await self._media.walls.assign(wall, changed)
            room.slots = slots
        return tuple(chosen)

    def _say(self, key: str, room: _Room, speaker: str | None, heard: tuple[str, ...]) -> None:
        room.told, room.muted = (speaker, heard), self._muted_in(room)
        self._bus.publish(FloorChanged(key, speaker, heard, room.muted))

    def _muted_in(self, room: _Room) -> tuple[str, ...]:
        return tuple(sorted(self.mutes.streams.intersection(room.voices)))


def _sounds(figures: StreamStats) -> bool:
    return figures.audio and figures.state is StreamState.LIVE


def _minus_dbov(level: float) -> int:
    return SILENCE if level <= 0 else min(SILENCE, round(-20 * math.log10(level)))
