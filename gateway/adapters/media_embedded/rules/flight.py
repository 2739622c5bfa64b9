"""What is under way to one viewer: batches that left, laid beside what the far end tells of them.

**A batch is looked at as a whole.** Packets of a frame leave together and nearly always arrive without a gap, so one
minimum, one maximum and one sum say all of them; a viewer's feedback costs per frame, not per packet.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from gateway.adapters.media_embedded.rules.transport_feedback import Run

KEPT = 1024
"""Batches that are remembered: some seconds, and the most that one feedback packet can make us walk over."""


class Batch:
    """Packets that left at once, numbered from `first` up to `end`; `left` has a bit for each that was not told of."""

    __slots__ = ("all", "around", "at", "end", "first", "left", "lengths")

    def __init__(self, first: int, at: float, lengths: Sequence[int], around: int) -> None:
        self.first, self.at, self.lengths, self.around = first, at, lengths, around
        self.end = first + len(lengths)
        self.left = self.all = (1 << len(lengths)) - 1


Piece = tuple[float, int, int, int, int, int]
"""Neighbours of a batch that arrived: when they left, how many, their bytes, the first one's, least and most ticks."""


class InFlight(Protocol):
    """What an estimator needs to know what arrived."""

    def sent(self, first: int, at: float, lengths: Sequence[int], around: int) -> None:
        """Note a batch; each packet has its length and `around` more bytes on the wire. Numbers ascend."""

    def told(self, base: int, runs: Sequence[Run]) -> list[Piece]:
        """Take runs of arrivals after the 16-bit number `base`, in order; numbers that were never sent mean nothing."""

    def lost(self, reordered: int) -> int:
        """Forget batches that `reordered` later packets have overtaken; returns how many of them never arrived."""


class Flight:
    """Feed `sent`, then `told` with what arrived; `lost` counts what fell behind."""

    def __init__(self) -> None:
        self.newest = self.highest = -1
        self._batches: deque[Batch] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        """Return how many packets are under way."""
        return sum(batch.left.bit_count() for batch in self._batches)

    def sent(self, first: int, at: float, lengths: Sequence[int], around: int) -> None:
        """Note a batch; each packet has its length and `around` more bytes on the wire. Numbers ascend."""
        batch = Batch(first, at, lengths, around)
        self.newest = batch.end - 1
        self._batches.append(batch)

    def told(self, base: int, runs: Sequence[Run]) -> list[Piece]:
        """Take runs of arrivals after the 16-bit number `base`, in order; numbers that were never sent mean nothing."""
        base = self.newest - ((self.newest - base) & 0xFFFF)
        found: list[Piece] = []
        batches = iter(self._batches)
        batch = next(batches, None)
        for offset, ticks in runs:
            begin = base + offset
            end = begin + len(ticks)
            while batch is not None and batch.first < end:
                if batch.first >= begin and batch.end <= end and batch.left == batch.all:  # the way of nearly all
                    lengths, at = batch.lengths, batch.first - begin
                    some = ticks[at : at + len(lengths)]
                    batch.left, self.highest = 0, max(self.highest, batch.end - 1)
                    around, count = batch.around, len(lengths)
                    octets = sum(lengths) + around * count
                    found.append((batch.at, count, octets, lengths[0] + around, min(some), max(some)))
                elif batch.end > begin:
                    found += self._singly(batch, begin, end, ticks)
                    if batch.end > end:
                        break
                batch = next(batches, None)
        return found

    def _singly(self, batch: Batch, begin: int, end: int, ticks: Sequence[int]) -> Iterator[Piece]:
        """Take the part of a batch that lies in a run, and what was told of before once only."""
        for number in range(max(begin, batch.first), min(end, batch.end)):
            bit = 1 << number - batch.first
            if batch.left & bit:
                batch.left ^= bit
                self.highest = max(self.highest, number)
                size, came = batch.lengths[number - batch.first] + batch.around, ticks[number - begin]
                yield batch.at, 1, size, size, came, came

    def lost(self, reordered: int) -> int:
        """Forget batches that `reordered` later packets have overtaken; returns how many of them never arrived."""
        batches, behind, lost = self._batches, self.highest - reordered, 0
        while batches and (not batches[0].left or batches[0].end <= behind + 1):
            lost += batches.popleft().left.bit_count()
        return lost
