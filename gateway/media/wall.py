"""What stands in the slots of one wall, and which streams must be wanted for it.

**A stream is wanted while a slot shows it, by wall and slot**: emptying a slot, say because its pane is hidden,
gives it back after the usual linger. Times are given as arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.media.machine import Trouble
from gateway.ports.media import Layer, Showing, Slot, StreamState

MAX_SLOTS = 50
"""Slots of all kinds that one request may name: 25 pictures and as many sounds."""
SHOWN = frozenset({Showing.MAIN, Showing.THUMB, Showing.SOUND})
_AWAY = {
    StreamState.ABSENT: "absent",
    StreamState.STARTING: "starting",
    StreamState.STALLED: "stalled",
    StreamState.LIVE: "key_frame",
}
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SlotState:
    """What a slot shows. `why` is None while it shows what it shall, else a trouble or what is waited for."""

    slot: Slot
    showing: Showing
    why: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What an assignment changes: to be wanted first, then assigned, then let go. Holders are named by `holder_of`."""

    wants: tuple[Slot, ...]
    releases: tuple[Slot, ...]


def wanted_layers(slot: Slot) -> frozenset[Layer]:
    """Return what a slot needs of its stream; a sound comes with any picture, so the small one does."""
    return frozenset({slot.layer if slot.kind == "video" else Layer.THUMB})


def why_of(showing: Showing, trouble: Trouble | None, state: StreamState) -> str | None:
    """Return why a slot does not show its stream: what keeps the stream away, what it waits for, or what it lacks."""
    if showing in SHOWN or showing is Showing.EMPTY:
        return None
    if showing is Showing.WAITING:
        return trouble.value if trouble is not None else _AWAY[state]
    return showing.value


class Wall:
    """The slots of one session, empty at first."""

    def __init__(self, session_id: str, holder: str) -> None:
        self.session_id = session_id
        self.holder = holder
        """The person who opened it."""
        self._states: dict[Place, SlotState] = {}

    def holder_of(self, slot: Slot) -> str:
        """Name who wants a slot's stream."""
        return f"{self.session_id}/{slot.kind}/{slot.index}/{slot.stream}"

    def plan(self, slots: Sequence[Slot]) -> Plan:
        """Return what would change; the last word on a slot counts."""
        wants: list[Slot] = []
        releases: list[Slot] = []
        for place, slot in {(slot.kind, slot.index): slot for slot in slots}.items():
            now = self._states.get(place)
            before = now.slot if now is not None else None
            if slot.stream is not None:
                wants.append(slot)
            if before is not None and before.stream not in {None, slot.stream}:
                releases.append(before)
        return Plan(tuple(wants), tuple(releases))

    def assigned(self, slots: Sequence[Slot], at: datetime) -> None:
        """Note what was assigned; a slot with another stream waits until the engine says more."""
        for slot in slots:
            place = (slot.kind, slot.index)
            now = self._states.get(place)
            if now is not None and now.slot.stream == slot.stream:
                self._states[place] = replace(now, slot=slot)
            else:
                showing = Showing.EMPTY if slot.stream is None else Showing.WAITING
                self._states[place] = SlotState(slot, showing, None if slot.stream is None else "starting", at)

    def shows(
        self, place: Place, stream: str | None, showing: Showing, why: str | None, at: datetime
    ) -> SlotState | None:
        """Take the engine's word; returns the new state, None where nothing changed or it speaks of a former stream."""
        now = self._states.get(place)
        if now is None or now.slot.stream != stream or (now.showing, now.why) == (showing, why):
            return None
        self._states[place] = replace(now, showing=showing, why=why, since=at)
        return self._states[place]

    def snapshot(self) -> dict[Place, SlotState]:
        """Return what `restore` takes back."""
        return dict(self._states)

    def restore(self, former: dict[Place, SlotState]) -> None:
        """Undo what was noted since the snapshot: the engine would not."""
        self._states = dict(former)

    def states(self) -> tuple[SlotState, ...]:
        """Return all slots that were ever assigned, in order."""
        return tuple(self._states[place] for place in sorted(self._states))

    def waiting_for(self, stream: str) -> tuple[SlotState, ...]:
        """Return the slots that wait for a stream."""
        waiting = (state for state in self.states() if state.showing is Showing.WAITING)
        return tuple(state for state in waiting if state.slot.stream == stream)

    def streams(self) -> frozenset[str]:
        """Return the streams that stand in slots."""
        return frozenset(state.slot.stream for state in self._states.values() if state.slot.stream is not None)
