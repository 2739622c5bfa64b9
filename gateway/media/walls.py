"""The walls of this gateway: sessions whose slots show one camera after the other without a renegotiation."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.events import EventBus, WallSlotChanged
from gateway.media.machine import Kind
from gateway.media.wall import SlotState, Wall, wanted_layers, why_of
from gateway.ports.media import MediaEngine, Showing, Slot, SlotChanged
from protocols.aio.clock import Clock
from protocols.errors import NotFoundError

if TYPE_CHECKING:
    from gateway.media.service import MediaService

logger = logging.getLogger(__name__)


class Walls:
    """Part of the media room; its service owns the sessions themselves."""

    def __init__(self, media: "MediaService", engine: MediaEngine, clock: Clock, bus: EventBus) -> None:
        self._media = media
        self._engine = engine
        self._clock = clock
        self._bus = bus
        self._walls: dict[str, Wall] = {}

    def open(self, session_id: str, holder: str) -> None:
        """Begin a wall with empty slots."""
        self._walls[session_id] = Wall(session_id, holder)

    def holder(self, session_id: str) -> str | None:
        """Return who opened a wall, None where there is no such wall."""
        wall = self._walls.get(session_id)
        return wall.holder if wall is not None else None

    async def assign(self, session_id: str, slots: Sequence[Slot]) -> frozenset[str]:
        """Change slots; returns the streams that were not on this wall before. Raises NotFoundError, BadMediaError."""
        wall = self._wall(session_id)
        before, former = wall.streams(), wall.snapshot()
        plan = wall.plan(slots)
        # Wanted before the switch: the way to the camera begins while the worker is told.
        for slot in plan.wants:
            self._want(wall, slot)
        wall.assigned(slots, self._clock.now())  # the engine may say what they show before it answers
        try:
            await self._engine.assign(session_id, slots)
        except BaseException:
            wall.restore(former)
            self._undo(wall, plan.wants)
            raise
        for slot in plan.releases:
            if slot.stream is not None:
                self._release(wall, slot.stream, slot)
        for slot in slots:
            self._tell_again(wall, slot)
        return wall.streams() - before

    def states(self, session_id: str) -> tuple[SlotState, ...]:
        """Return what the slots show; raises NotFoundError."""
        return self._wall(session_id).states()

    def forget(self, session_id: str) -> None:
        """Let go of all that a wall showed; an unknown one is ignored."""
        wall = self._walls.pop(session_id, None)
        if wall is None:
            return
        for state in wall.states():
            if state.slot.stream is not None:
                self._release(wall, state.slot.stream, state.slot)

    def changed(self, event: SlotChanged) -> None:
        """Take the engine's word on a slot."""
        wall = self._walls.get(event.session_id)
        if wall is not None:
            self._shows(wall, event.kind, event.index, event.stream, event.showing)

    def stream_changed(self, stream: str) -> None:
        """Say anew why slots wait for a stream."""
        for wall in self._walls.values():
            for state in wall.waiting_for(stream):
                self._shows(wall, state.slot.kind, state.slot.index, stream, Showing.WAITING)

    def _shows(self, wall: Wall, kind: str, index: int, stream: str | None, showing: Showing) -> None:
        why = None if stream is None else why_of(showing, self._media.trouble(stream), self._media.state(stream))
        state = wall.shows((kind, index), stream, showing, why, self._clock.now())
        if state is not None:
            self._say(wall, state)

    def _tell_again(self, wall: Wall, slot: Slot) -> None:
        for state in wall.states():
            if (state.slot.kind, state.slot.index) == (slot.kind, slot.index):
                self._say(wall, state)

    def _say(self, wall: Wall, state: SlotState) -> None:
        slot = state.slot
        told = WallSlotChanged(
            wall.session_id, slot.kind, slot.index, slot.stream, state.showing, state.why, state.since
        )
        self._bus.publish(told)

    def _want(self, wall: Wall, slot: Slot) -> None:
        if slot.stream is not None:
            self._media.want(slot.stream, wall.holder_of(slot), Kind.WALL, wanted_layers(slot))

    def _release(self, wall: Wall, stream: str, slot: Slot) -> None:
        self._media.release(stream, wall.holder_of(slot))

    def _undo(self, wall: Wall, wants: Sequence[Slot]) -> None:
        standing = {(s.slot.kind, s.slot.index, s.slot.stream): s.slot for s in wall.states()}
        for slot in wants:
            before = standing.get((slot.kind, slot.index, slot.stream))
            if before is not None:
                self._want(wall, before)
            elif slot.stream is not None:
                self._release(wall, slot.stream, slot)

    def _wall(self, session_id: str) -> Wall:
        wall = self._walls.get(session_id)
        if wall is None:
            raise NotFoundError("no such wall; make a new one")
        return wall
