"""Packets of one track that came together, made ready once for all the legs that take them.

**Worked out once, not once a leg**: a hundred legs share the rows, and rewritten payloads too.
"""

from collections.abc import Sequence

from gateway.adapters.media_embedded.rules import vp8
from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.ring import Row

SPAN = 128
"""A plain run lies within so many numbers: as many as the smallest ring of sent packets keeps."""


class Run:
    """At least one packet. `plain` runs (one generation, codec and loudness, ascending, nothing empty) go the fast way.

    `keyed` says that a key frame begins in it; `kind` is generation and codec of its first packet, which all of a plain
    run share.
    """

    __slots__ = (
        "_moved", "count", "first", "first_number", "keyed", "kind", "last", "last_number", "lengths", "newest",
        "octets", "packets", "plain", "rows", "stamps",
    )  # fmt: skip

    def __init__(self, packets: Sequence[Media]) -> None:
        self.packets = packets
        self.first, self.last = packets[0], packets[-1]
        generation, before, codec, _, newest, *_ = self.first
        self.plain, self.keyed = True, False
        loudness = self.first.loudness
        self.lengths: list[int] = []
        self.rows: list[Row] = []
        self.stamps: set[int] = set()
        self._moved: dict[tuple[int, int], tuple[list[Row], int]] = {}
        before -= 1
        for own, number, name, marker, timestamp, payload, key, _, loud in packets:
            if number <= before or own != generation or name != codec or not payload or loud != loudness:
                self.plain = False
            before = number
            if 0 < (timestamp - newest) & 0xFFFFFFFF < 1 << 31:
                newest = timestamp
            self.keyed = self.keyed or key
            self.lengths.append(len(payload))
            self.rows.append((number, 0x80 if marker else 0, timestamp, payload))
            self.stamps.add(timestamp)
        self.plain = self.plain and self.last.number - self.first.number < SPAN
        self.kind, self.count = (generation, codec), len(self.rows)
        self.first_number, self.last_number = self.first.number, self.last.number
        self.newest = newest
        self.octets = sum(self.lengths)

    def moved(self, steps: tuple[int, int]) -> tuple[list[Row], int]:
        """Return the rows of VP8 with picture ids and levels moved on, and how many could not be read for it."""
        found = self._moved.get(steps)
        if found is None:
            found = self._moved[steps] = self._move(steps)
        return found

    def _move(self, steps: tuple[int, int]) -> tuple[list[Row], int]:
        rows, malformed = [], 0
        for number, marker, timestamp, payload in self.rows:
            try:
                rows.append((number, marker, timestamp, vp8.shifted(payload, *steps)))
            except MalformedError:
                rows.append((number, marker, timestamp, payload))
                malformed += 1
        return rows, malformed
