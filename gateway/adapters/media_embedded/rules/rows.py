"""Packets of one track that follow on what came before, kept as they were written down: nothing is made for each.

Nearly all media is steady: in order, of one SSRC and payload type, nothing of it beginning a key frame. Who reads it
may hand it on in this form (`Steady`) once the rules have said what comes next (`Lane`); it means the same packets.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

from typing_extensions import override

from gateway.adapters.media_embedded.rules.transport_feedback import TICK_S

ROW = struct.Struct("=qIIHB5x")
"""Number, timestamp, where the payload begins, its length, marker as the header's bit."""
_WHERE = struct.Struct("=I").unpack_from
_MARKER = -6  # from the end of the last one
_LATER = struct.Struct("=20xH2x")
"""Where whoever wrote rows down put how many ticks after the first of them each came."""
Row = tuple[int, int, int, bytes]
"""A packet of the source: number, marker as the header's bit, timestamp, payload; legs share it."""


class Rows(Sequence[Row]):
    """`packed` are ROWs in order, numbered without a gap from `first` on; `longest` is the longest of `payloads`."""

    __slots__ = ("_rows", "first", "last", "longest", "packed", "payloads", "total")

    def __init__(self, packed: bytes, payloads: bytes, first: int, longest: int) -> None:
        self.packed, self.payloads, self.first, self.longest = packed, payloads, first, longest
        self.total = len(packed) // ROW.size
        self.last = first + self.total - 1
        self._rows: list[Row] | None = None

    @property
    def rows(self) -> list[Row]:
        """Return them all, made when somebody looks for the first time."""
        if self._rows is None:
            payloads = self.payloads
            self._rows = [
                (number, marker, timestamp, payloads[at : at + length])
                for number, timestamp, at, length, marker in ROW.iter_unpack(self.packed)
            ]
        return self._rows

    @property
    def newest_payload(self) -> bytes:
        """The last packet's payload."""
        return self.payloads[_WHERE(self.packed, len(self.packed) - ROW.size + 12)[0] :]

    @property
    def ends(self) -> bool:
        """Whether the last packet ends a frame."""
        return self.packed[_MARKER] > 0

    def moments(self, came: float) -> tuple[tuple[int, float], ...]:
        """Return how many came when, in their order, where the first one came at `came`."""
        found: list[tuple[int, float]] = []
        before, count = 0, 0
        for (later,) in _LATER.iter_unpack(self.packed):
            if later != before and count:
                found.append((count, came + before * TICK_S))
                count = 0
            before, count = later, count + 1
        return (*found, (count, came + before * TICK_S))

    @override
    def __len__(self) -> int:
        return self.total

    @override
    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    @override
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        return self.rows[place]

    def behind(self, other: "Rows") -> "Rows":
        """Return both in one, where this one's numbers follow on the other's."""
        shift = len(other.payloads)
        moved = [ROW.pack(n, stamp, at + shift, size, marker)
                 for n, stamp, at, size, marker in ROW.iter_unpack(self.packed)]  # fmt: skip
        packed = other.packed + b"".join(moved)
        return Rows(packed, other.payloads + self.payloads, other.first, max(other.longest, self.longest))


class Steady(NamedTuple):
    """Rows of a source that came together; `lane` is the place of their track among the session's.

    Their transport-wide numbers go on from `wide` (-1: none). `newest` is the newest timestamp, and `alike` says that
    there is no other; `marked`: a frame's last packet is among them. `came`: how many of them reached this machine
    when, in seconds of the worker's clock; empty where nobody knows.
    """

    lane: int
    rows: Rows
    wide: int
    newest: int
    marked: bool
    alike: bool
    came: tuple[tuple[int, float], ...] = ()

    def behind(self, other: "Steady") -> "Steady | None":
        """Return both in one; None where this one does not simply follow on the other."""
        follows = self.lane == other.lane and self.rows.first == other.rows.last + 1
        if not follows or (other.wide >= 0 and self.wide != other.wide + other.rows.total & 0xFFFF):
            return None
        later = 0 < (self.newest - other.newest) & 0xFFFFFFFF < 1 << 31
        alike = self.alike and other.alike and self.newest == other.newest
        newest = self.newest if later else other.newest
        rows, marked = self.rows.behind(other.rows), self.marked or other.marked
        return Steady(self.lane, rows, other.wide, newest, marked, alike, other.came + self.came)


class Lane(NamedTuple):
    """What the next packet of a track looks like: it follows on the whole number `last`.

    Its header extensions are `block` but for the transport-wide number, two bytes at `number_at` (0: there is none).
    `look` says how a key frame is told: `vp8`, `h264`, empty where there are none.
    """

    ssrc: int
    last: int
    payload_type: int
    look: str
    block: bytes
    number_at: int
