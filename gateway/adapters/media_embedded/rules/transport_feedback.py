"""Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01): when which packet arrived.

Publishers are told by `Arrivals`; what viewers tell is read by `parse`. One feedback packet names every number from
`base` on, `count` of them; what is not in `arrivals` was not there when it was written.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub

from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.rtp import Unwrapper

FORMAT = 15
"""The FMT of an RTPFB packet that carries this."""
URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
TICK_S = 0.00025
REFERENCE_TICKS = 256
"""The reference time counts in 64 ms, deltas in 250 microseconds."""
EVERY_S, EVERY_PACKETS = 0.1, 50
LONGEST = 500
"""Numbers in one feedback packet; with the longest chunks and deltas it stays below 1,200 bytes."""
JUMP = 2000
"""A larger step of the numbers is a new beginning: what lies between is not called lost."""
KEPT = 2000
"""Arrivals that are remembered at most; a publisher that sends faster than that between two reports is cut short."""
_ABSENT, _SMALL, _LARGE = 0, 1, 2
_LONGEST_RUN = 0x1FFF
_STEP = struct.Struct("!h").unpack_from
_FEEDBACK = struct.Struct("!IIHHI")
_FIRST = struct.Struct("!HHIH").unpack_from
_DELTAS = 18
"""Where deltas begin behind a single chunk."""


Run = tuple[int, Sequence[int]]
"""Numbers that came without a gap: the first one's distance to the base, ticks after the reference of each."""


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """One feedback packet, read: `runs` of arrivals in the order of their numbers; `reference` counts in 64 ms."""

    base: int
    count: int
    reference: int
    sequence: int
    runs: tuple[Run, ...]

    @property
    def arrivals(self) -> tuple[tuple[int, int], ...]:
        """Spell the runs out: pairs of 16-bit number and ticks after `reference`."""
        return tuple(
            ((self.base + offset + place) & 0xFFFF, came)
            for offset, ticks in self.runs
            for place, came in enumerate(ticks)
        )


class Arrivals:
    """Feed `add` with every packet that bears a number; when `due`, send what `build` returns.

    Numbers that follow on one another are kept as `runs`: first one, how many, when they came. What does not follow on
    is kept number by number, and what waits then is too, until it was told of.
    """

    def __init__(self) -> None:
        self._unwrap = Unwrapper(16)
        self._runs: list[tuple[int, int, float]] = []
        self._many: dict[int, float] = {}
        self._count = 0
        self._since: float | None = None
        self._next: int | None = None
        self._sequence = 0

    @property
    def waiting(self) -> dict[int, float]:
        """Return all numbers that were not told of yet, not wrapped, and when they came."""
        return self._many | {number: at for first, count, at in self._runs for number in range(first, first + count)}

    def add(self, number: int, now: float) -> None:
        """Note the arrival of a 16-bit number; the first one of a number counts."""
        last = self._unwrap.last
        if last is not None and number == last + 1 & 0xFFFF and not self._many and self._count < KEPT:
            self._follow(last + 1, 1, now)
            return
        if last is not None and JUMP < (number - last) & 0xFFFF < 0x10000 - JUMP:
            self._unwrap = Unwrapper(16)
            self._forget()
            self._next = None
        index = self._unwrap.unwrap(number)
        if self._runs:
            self._many, self._runs = self.waiting, []
        if index in self._many or len(self._many) >= KEPT:
            return
        self._many[index] = now
        self._count = len(self._many)
        if self._since is None:
            self._since = now

    def add_run(self, first: int, count: int, now: float) -> None:
        """Note the arrival of `count` numbers from `first` on, at one moment."""
        last = self._unwrap.last
        if last is None or first != last + 1 & 0xFFFF or self._many or self._count + count > KEPT:
            for number in range(first, first + count):
                self.add(number & 0xFFFF, now)
            return
        self._follow(last + 1, count, now)

    def _follow(self, first: int, count: int, now: float) -> None:
        self._unwrap.last = first + count - 1
        self._runs.append((first, count, now))
        self._count += count
        if self._since is None:
            self._since = now

    def _forget(self) -> None:
        self._runs, self._many, self._count = [], {}, 0

    def due(self, now: float) -> bool:
        """Tell whether it is time for feedback."""
        return self._since is not None and (now - self._since >= EVERY_S or self._count >= EVERY_PACKETS)

    def build(self, own: int, ssrc: int) -> list[bytes]:
        """Return RTCP packets about all that was noted since the last call; empty if that was nothing."""
        if (plain := self._plain(own, ssrc)) is not None:
            return [plain]
        out: list[bytes] = []
        waiting = self.waiting
        numbers = sorted(waiting)  # nearly sorted already, and then it costs next to nothing
        while numbers:
            begin = numbers[0] if self._next is None else min(self._next, numbers[0])
            taken = [n for n in numbers if n < begin + LONGEST]
            if not taken:  # nothing but losses up to here: they are the next packet's beginning
                begin = numbers[0]
                taken = [n for n in numbers if n < begin + LONGEST]
            taken = _within_reach(taken, waiting)
            out.append(self._packet(own, ssrc, begin, [(n, waiting[n]) for n in taken]))
            numbers = numbers[len(taken) :]
            self._next = max(self._next or 0, taken[-1] + 1)
        self._forget()
        self._since = None
        return out

    def _plain(self, own: int, ssrc: int) -> bytes | None:
        """Return the one packet about numbers that came without a gap and soon after another, as nearly always."""
        runs, count = self._runs, self._count
        if not runs or self._many or count > LONGEST or self._next not in {None, runs[0][0]}:
            return None
        reference = int(runs[0][2] / TICK_S) // REFERENCE_TICKS
        before, deltas = reference * REFERENCE_TICKS, bytearray()
        for _, size, at in runs:  # runs follow on one another: what does not is kept number by number
            ticks = round(at / TICK_S)
            if not 0 <= ticks - before <= 0xFF:
                return None
            deltas.append(ticks - before)
            deltas += bytes(size - 1)
            before = ticks
        first = runs[0][0]
        self._next = first + count
        self._forget()
        self._since = None
        return self._write((own, ssrc), first, count, reference, (_SMALL << 13 | count).to_bytes(2, "big") + deltas)

    def _packet(self, own: int, ssrc: int, begin: int, taken: list[tuple[int, float]]) -> bytes:
        reference = int(taken[0][1] / TICK_S) // REFERENCE_TICKS
        ticks = [reference * REFERENCE_TICKS, *(round(at / TICK_S) for _, at in taken)]
        steps = list(map(sub, ticks[1:], ticks))
        count = taken[-1][0] - begin + 1
        told = _spelled(count, [number - begin for number, _ in taken], steps)
        return self._write((own, ssrc), begin, count, reference, told)

    def _write(self, ssrcs: tuple[int, int], begin: int, count: int, reference: int, told: bytes) -> bytes:
        head = _FEEDBACK.pack(*ssrcs, begin & 0xFFFF, count, (reference & 0xFFFFFF) << 8 | self._sequence)
        self._sequence = (self._sequence + 1) & 0xFF
        body = head + told
        padding = -len(body) & 3
        first = 0x80 | FORMAT | (0x20 if padding else 0)
        body += b"\0" * (padding - 1) + bytes([padding]) if padding else b""
        return struct.pack("!BBH", first, 205, len(body) // 4) + body


def _spelled(count: int, offsets: list[int], steps: list[int]) -> bytes:
    """Write which of `count` numbers came, and each one's step in time."""
    statuses = [_ABSENT] * count
    deltas = bytearray()
    for offset, step in zip(offsets, steps, strict=True):
        small = 0 <= step <= 0xFF
        statuses[offset] = _SMALL if small else _LARGE
        deltas += struct.pack("!B" if small else "!h", step)
    return _chunks(statuses) + deltas


def _within_reach(taken: list[int], at: dict[int, float]) -> list[int]:
    """Cut the list where a step in time does not fit 16 bits."""
    for place in range(1, len(taken)):
        if abs(at[taken[place]] - at[taken[place - 1]]) > 0x7F00 * TICK_S:
            return taken[:place]
    return taken


def _chunks(statuses: list[int]) -> bytes:
    out = bytearray()
    at = 0
    while at < len(statuses):
        first, run = statuses[at], 1
        while at + run < len(statuses) and statuses[at + run] == first and run < _LONGEST_RUN:
            run += 1
        ones = statuses[at : at + 14]
        if run >= 14 or run == len(statuses) - at or (_LARGE in ones and run >= 7):
            word, used = first << 13 | run, run
        elif _LARGE not in ones:
            word, used = 0x8000 | sum(status << 13 - place for place, status in enumerate(ones)), 14
        else:
            twos = ones[:7]
            word, used = 0xC000 | sum(status << 12 - 2 * place for place, status in enumerate(twos)), 7
        out += struct.pack("!H", word)
        at += used
    return bytes(out)


def parse(body: bytes) -> TransportFeedback:
    """Read the packet after its RTCP header and without padding; raises MalformedError."""
    try:
        base, count, word, chunk = _FIRST(body, 8)
        if chunk & ~_LONGEST_RUN == _SMALL << 13 and count <= chunk & _LONGEST_RUN and count:
            deltas = body[_DELTAS : _DELTAS + count]  # all came, each soon after the other: so it is nearly always
            if len(deltas) < count:
                raise MalformedError("transport feedback is cut off")
            runs: tuple[Run, ...] = ((0, tuple(accumulate(deltas))),)
        else:
            runs = tuple(_runs(body, count))
    except (struct.error, IndexError) as error:
        raise MalformedError("transport feedback is cut off") from error
    return TransportFeedback(base, count, word >> 8, word & 0xFF, runs)


def _runs(body: bytes, count: int) -> list[Run]:
    statuses, at = _statuses(body, count)
    found: list[Run] = []
    run: list[int] = []
    ticks, after = 0, -1
    for offset, status in statuses:
        if status == _SMALL:
            ticks += body[at]
            at += 1
        else:
            ticks += _STEP(body, at)[0]
            at += 2
        if offset != after:
            run = []
            found.append((offset, run))
        run.append(ticks)
        after = offset + 1
    return found


def _statuses(body: bytes, count: int) -> tuple[list[tuple[int, int]], int]:
    """Return offset and status of what arrived, and where the deltas begin. A lie about the count costs no memory."""
    found: list[tuple[int, int]] = []
    at, offset = 16, 0
    while offset < count:
        word = struct.unpack_from("!H", body, at)[0]
        at += 2
        if not word & 0x8000:
            status, run = word >> 13 & 3, min(word & _LONGEST_RUN, count - offset)
            if not run or status > _LARGE or (status and run > len(body)):
                raise MalformedError("a run in transport feedback does not fit")
            if status:
                found.extend((offset + place, status) for place in range(run))
            offset += run
            continue
        size = 2 if word & 0x4000 else 1
        for place in range(min(14 // size, count - offset)):
            status = word >> 14 - size * (place + 1) & (3 if size == 2 else 1)
            if status > _LARGE:
                raise MalformedError("a reserved status in transport feedback")
            if status:
                found.append((offset + place, status))
        offset += 14 // size
    return found, at
