"""Packets of a tap to frames: put in order within a bound, joined, and nothing kept that would not decode.

**A picture that refers to a missing one is left out**: after a hole nothing is kept until the next key frame, so that a
recording shows a still picture there and never a false one.
"""

from typing import NamedTuple

from gateway.adapters.media_embedded.rules import access_unit
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.tapping import VIDEO, Record

AHEAD = 512
"""As many packets may wait for a missing one."""
WAIT_S = 1.2
"""And so long: the worker gives a packet up after 0.8 s."""
MAX_OCTETS = 8 << 20
"""Of packets that belong to one picture: a source that never ends one fills no memory."""


class Frame(NamedTuple):
    """One access unit (see `access_unit`) or Opus packet; `at` is the arrival of its last packet."""

    track: int
    codec: str
    data: bytes
    key: bool
    generation: int
    timestamp: int
    at: float


class Assembler:
    """Feed the records of one track; `drain` at the end. `lost` counts packets that never came."""

    def __init__(self, track: int) -> None:
        self.track = track
        self.lost = 0
        self.left_out = 0
        self._generation = -1
        self._next: int | None = None
        self._waiting: dict[int, Record] = {}
        self._parts: list[Record] = []
        self._octets = 0
        self._before: Record | None = None
        self._needs_key = track == VIDEO

    def feed(self, record: Record) -> list[Frame]:
        """Take a record in order of arrival; returns frames in order of their numbers."""
        out: list[Frame] = []
        if record.generation < self._generation:
            return out
        if record.generation > self._generation:
            out += self.drain()
            self._generation, self._next = record.generation, record.number
            self._before = None
        if self._next is None or record.number < self._next:
            return out
        self._waiting[record.number] = record
        self._advance(out)
        while self._waiting and self._overdue(record):
            first = min(self._waiting)
            self._hole(first - self._next)
            self._next = first
            self._advance(out)
        return out

    def _overdue(self, newest: Record) -> bool:
        first = min(self._waiting.values(), key=lambda one: one.at)
        return len(self._waiting) > AHEAD or newest.at - first.at > WAIT_S

    def _advance(self, out: list[Frame]) -> None:
        while self._next is not None and (record := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            self._take(record, out)

    def drain(self) -> list[Frame]:
        """Return what can still be made of what waits, and begin anew."""
        out: list[Frame] = []
        for number in sorted(self._waiting):
            if self._next is not None and number > self._next:
                self._hole(number - self._next)
            self._next = number + 1
            self._take(self._waiting[number], out)
        self._waiting.clear()
        self._parts = []
        self._needs_key = self.track == VIDEO
        self._next, self._before = None, None
        return out

    def _hole(self, missing: int) -> None:
        self.lost += missing
        self._parts = []
        self._before = None
        self._needs_key = self.track == VIDEO

    def _take(self, record: Record, out: list[Frame]) -> None:
        if record.lost:
            self._hole(1)
            return
        if not record.payload:
            return  # a probe: it fills a number and carries nothing
        if self.track != VIDEO:
            out.append(self._frame(record, record.payload, key=True))
            return
        if self._parts and self._parts[-1].timestamp != record.timestamp:
            self._finish(out)
        if self._needs_key and not self._parts and not self._opens(record):
            self.left_out += record.marker
        else:
            self._keep(record)
        self._before = record
        if record.marker and self._parts:
            self._finish(out)

    def _keep(self, record: Record) -> None:
        self._octets = len(record.payload) + (self._octets if self._parts else 0)
        self._parts.append(record)
        if self._octets > MAX_OCTETS:
            self._parts = []
            self._needs_key = True

    def _opens(self, record: Record) -> bool:
        """Tell whether a whole key frame begins here, and not the middle of one whose head is missing."""
        if not record.key:
            return False
        if access_unit.opens(record.codec, record.payload):
            return True
        before = self._before
        return before is not None and (before.marker or before.timestamp != record.timestamp)

    def _finish(self, out: list[Frame]) -> None:
        parts, self._parts = self._parts, []
        codec = parts[0].codec
        try:
            data = access_unit.joined(codec, [part.payload for part in parts])
            key = any(part.key for part in parts) and access_unit.is_key(codec, data)
        except MalformedError:
            self.left_out += 1
            self._needs_key = True
            return
        if self._needs_key and not key:
            self.left_out += 1
            return
        self._needs_key = False
        out.append(self._frame(parts[-1], data, key=key))

    def _frame(self, last: Record, data: bytes, *, key: bool) -> Frame:
        return Frame(self.track, last.codec, data, key, last.generation, last.timestamp, last.at)
