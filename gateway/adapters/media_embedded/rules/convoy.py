"""Legs that all go the plain way: what a run of packets changes for each of them is written down once for all.

A leg in steady state does with every run the same as its neighbours, each with steps of its own. While it is a member
nothing of it is touched but the transport-wide count of its session; what it missed is told to it when it leaves
(`since`), and then it is as if it had taken each run by itself. **Who carries out a `Fan` sends what they would.**
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gateway.adapters.media_embedded.rules.ring import Planned, Recipe, Sent
from gateway.adapters.media_embedded.rules.rows import Row
from gateway.adapters.media_embedded.rules.run import Run
from gateway.adapters.media_embedded.rules.transport import Transport

KEPT = 1024
"""As many packets are remembered: the largest ring of sent packets."""


class Way(NamedTuple):
    """What makes legs alike: number of their source, generation and codec, steps of VP8 picture ids and levels."""

    source: int
    kind: tuple[int, str]
    steps: tuple[int, int]


class Member:
    """A leg's part: what its headers are made of. `packets` and `octets` are the convoy's when it came."""

    __slots__ = (
        "first", "head_size", "later", "make", "octets", "owner", "packets", "payload_type", "ssrc", "step", "tail",
        "transport",
    )  # fmt: skip

    def __init__(
        self,
        address: tuple[str, int],
        steps: tuple[int, int],
        head: tuple[int, int, bytes, int],
        transport: Transport | None,
        make: Callable[[Recipe], list[Sent]],
    ) -> None:
        """Take session and SSRC; steps of number and timestamp; first byte, payload type, tail and size of heads."""
        self.owner, self.ssrc = address
        self.step, self.later = steps
        self.first, self.payload_type, self.tail, self.head_size = head
        self.transport, self.make = transport, make
        self.packets = self.octets = 0

    def recipe(self, rows: Sequence[Row], wide: int) -> Recipe:
        """Return what its packets of a run are made of."""
        return Recipe(rows, self.step, self.later, self.payload_type, wide, self.tail)


class Passed(NamedTuple):
    """One run as the convoy took it: when, and for each member the wide number of its first packet."""

    rows: Sequence[Row]
    first: int
    last: int
    at: float
    members: Sequence[Member]
    wides: Sequence[int]


class Fan(NamedTuple):
    """A run on its way to all members; `wides` are the first wide numbers in their order. To be carried out at once."""

    convoy: "Convoy"
    rows: Sequence[Row]
    members: Sequence[Member]
    wides: Sequence[int]
    at: float

    def plans(self) -> Iterator[tuple[str, int, Planned]]:
        """Return the same as plans of single legs."""
        for member, wide in zip(self.members, self.wides, strict=True):
            recipe = member.recipe(self.rows, wide)
            yield member.owner, member.ssrc, Planned(recipe, member.first, member.head_size, self.at, member.make)


class Convoy:
    """Ask `takes` before `take`. `members` is another list after each change; `packets` and `octets` count all runs."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.members: list[Member] = []  # another list after each change: what has passed keeps its own
        self.packets = self.octets = 0
        self.newest = 0
        self.carried: object = None
        """A place for who carries fans out: what it made ready for these members."""
        self._next = 0
        self._log: deque[Passed] = deque()
        self._logged = 0
        self._burst: list[tuple[int, dict[int, int]]] = []

    def begin(self, run: Run, newest: int) -> None:
        """Begin anew behind this run, whose newest timestamp so far is `newest`; nobody is a member then."""
        self._next, self.newest = run.last_number + 1, newest
        self._log.clear()
        self._logged = 0
        self._burst = []

    def enter(self, member: Member, end: int, burst: dict[int, int]) -> None:
        """Take a member. Up to number `end` its join's timestamps (keys of `burst`) have places of their own."""
        member.packets, member.octets = self.packets, self.octets
        self.members = [*self.members, member]
        if burst:
            self._burst.append((end, burst))

    def leave(self, member: Member) -> None:
        """Let a member go."""
        self.members = [one for one in self.members if one is not member]
        self.carried = None  # it may hold what belongs to a session that ends

    def takes(self, run: Run, source: int) -> bool:
        """Tell whether all members would take this run the plain way."""
        way = self.way
        if not run.plain or source != way.source or run.kind != way.kind or run.first_number < self._next:
            return False
        if self._burst:
            self._burst = [one for one in self._burst if one[0] >= self._next - 1]
            if any(not burst.keys().isdisjoint(run.stamps) for _, burst in self._burst):
                return False
        return way.steps == (0, 0) or not run.moved(way.steps)[1]

    def take(self, run: Run, now: float) -> Fan:
        """Let a run pass to all members."""
        rows = run.rows if self.way.steps == (0, 0) else run.moved(self.way.steps)[0]
        count, members = run.count, self.members
        wides = self._number(run, now)
        self._log.append(Passed(rows, run.first_number, run.last_number, now, members, wides))
        self._logged += count
        while self._logged - len(self._log[0].rows) >= KEPT:
            self._logged -= len(self._log.popleft().rows)
        self._next = run.last_number + 1
        if 0 < (run.newest - self.newest) & 0xFFFFFFFF < 1 << 31:
            self.newest = run.newest
        self.packets += count
        self.octets += run.octets
        return Fan(self, rows, members, wides, now)

    def _number(self, run: Run, now: float) -> list[int]:
        """Take wide numbers for a run at all members' sessions."""
        count, wides = run.count, list[int]()
        for member in self.members:
            transport = member.transport
            wide = 0
            if transport is not None:
                wide = transport.next
                if transport.carried:
                    transport.next = wide + count
                else:
                    transport.note(run.lengths, member.head_size, now)
            wides.append(wide)
        return wides

    def since(self, member: Member) -> list[tuple[Passed, int]]:
        """Return the runs that a member saw, with its wide numbers: as many as are remembered, in their order."""
        found: list[tuple[Passed, int]] = []
        members: Sequence[Member] = ()
        place = -1
        for passed in reversed(self._log):
            if passed.members is not members:
                members = passed.members
                place = next((at for at, one in enumerate(members) if one is member), -1)
            if place < 0:
                break
            found.append((passed, passed.wides[place]))
        return found[::-1]
