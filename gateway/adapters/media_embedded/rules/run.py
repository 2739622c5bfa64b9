"""Packets of one track that came together, made ready once for all the legs that take them.

**Worked out once, not once a leg**: a hundred legs share the rows, and rewritten payloads too.
"""

from collections.abc import Sequence

from gateway.adapters.media_embedded.rules import vp8
from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.rows import Row, Rows, Steady

SPAN = 128
"""A plain run lies within so many numbers: as many as the smallest ring of sent packets keeps."""


class Run:
    """At least one packet. `plain` runs (one generation, codec and loudness, ascending, nothing empty) go the fast way.

    `keyed` says that a key frame begins in it; `kind` is generation and codec of its first packet, which all of a plain
    run share; `marked`: its last packet ends a frame.
    """

    __slots__ = (
        "_lengths", "_moved", "_packets", "_stamps", "at", "count", "first_number", "keyed", "kind", "last_number",
        "loudness", "marked", "newest", "octets", "plain", "rows",
    )  # fmt: skip

    def __init__(self, packets: Sequence[Media]) -> None:
        first, last = packets[0], packets[-1]
        generation, before, codec, _, newest, *_ = first
        self.plain, self.keyed = True, False
        self.loudness, self.at = first.loudness, first.at
        loudness = self.loudness
        rows: list[Row] = []
        lengths: list[int] = []
        stamps: set[int] = set()
        before -= 1
        for own, number, name, marker, timestamp, payload, key, _, loud in packets:
            if number <= before or own != generation or name != codec or not payload or loud != loudness:
                self.plain = False
            before = number
            if 0 < (timestamp - newest) & 0xFFFFFFFF < 1 << 31:
                newest = timestamp
            self.keyed = self.keyed or key
            lengths.append(len(payload))
            rows.append((number, 0x80 if marker else 0, timestamp, payload))
            stamps.add(timestamp)
        self.plain = self.plain and last.number - first.number < SPAN
        self.kind, self.count = (generation, codec), len(rows)
        self.first_number, self.last_number, self.marked = first.number, last.number, last.marker
        self.newest = newest
        self.octets = sum(lengths)
        self.rows: Sequence[Row] = rows
        self._packets: Sequence[Media] | None = packets
        self._lengths: list[int] | None = lengths
        self._stamps: set[int] | None = stamps
        self._moved: dict[tuple[int, int], tuple[Sequence[Row], int]] = {}

    @property
    def packets(self) -> Sequence[Media]:
        """The packets themselves."""
        if self._packets is None:
            generation, codec = self.kind
            self._packets = [
                Media(generation, number, codec, marker > 0, timestamp, payload, False, self.at)  # noqa: FBT003 - positional: one is made per packet
                for number, marker, timestamp, payload in self.rows
            ]
        return self._packets

    @property
    def lengths(self) -> list[int]:
        """Lengths of the payloads."""
        if self._lengths is None:
            self._lengths = [len(row[3]) for row in self.rows]
        return self._lengths

    @property
    def stamps(self) -> set[int]:
        """All timestamps."""
        if self._stamps is None:
            self._stamps = {row[2] for row in self.rows}
        return self._stamps

    @property
    def last_payload(self) -> bytes:
        """The last packet's payload."""
        rows = self.rows
        return rows.newest_payload if isinstance(rows, Rows) else rows[-1][3]

    def moved(self, steps: tuple[int, int]) -> tuple[Sequence[Row], int]:
        """Return the rows of VP8 with picture ids and levels moved on, and how many could not be read for it."""
        found = self._moved.get(steps)
        if found is None:
            found = self._moved[steps] = self._move(steps)
        return found

    def _move(self, steps: tuple[int, int]) -> tuple[Sequence[Row], int]:
        rows: list[Row] = []
        malformed = 0
        for number, marker, timestamp, payload in self.rows:
            try:
                rows.append((number, marker, timestamp, vp8.shifted(payload, *steps)))
            except MalformedError:
                rows.append((number, marker, timestamp, payload))
                malformed += 1
        return rows, malformed


class SteadyRun(Run):
    """A run of packets that follow on: plain, and nothing is made of them before somebody looks."""

    __slots__ = ()

    def __init__(self, steady: Steady, kind: tuple[int, str], now: float) -> None:
        """Take no more of them than SPAN, of one kind, that came `now`."""
        rows = steady.rows
        self.plain, self.keyed, self.kind = True, False, kind
        self.loudness, self.at = -1, now
        self.count, self.octets, self.rows = rows.total, len(rows.payloads), rows
        self.first_number, self.last_number = rows.first, rows.last
        self.newest, self.marked = steady.newest, rows.ends
        self._packets = self._lengths = None
        self._stamps = {steady.newest} if steady.alike else None
        self._moved = {}
