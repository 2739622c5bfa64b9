"""Where streams live and where they are watched: rendezvous hashing over members, and who sits with whom.

Members are opaque names, so that workers of one engine and gateways of one tier are placed by the same rule. Law:
**a stream has one home**, to which its source, recordings and relays go. It stays there while anybody uses it; a member
that comes or goes moves no stream but those that it gains or loses.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

LEGS_PER_WORKER = 600
"""Legs of 1.5 Mbit/s that fill a network card of 1 Gbit/s, and two thirds of a core."""
_DRAWS = 1 << 64


def score(key: str, member: str, weight: float) -> float:
    """Return how well a member suits a key: the best of all gets it, so that shares are as the weights are."""
    drawn = int.from_bytes(blake2b(f"{member}\0{key}".encode(), digest_size=8).digest(), "big")
    return -weight / math.log((drawn + 0.5) / _DRAWS)


def ranking(key: str, members: Mapping[str, float]) -> list[str]:
    """Return the members by how well they suit the key, the best one first; without those of weight 0."""
    fit = [(score(key, name, weight), name) for name, weight in members.items() if weight > 0]
    return [name for _, name in sorted(fit, reverse=True)]


@dataclass(frozen=True, slots=True)
class _Seat:
    member: str
    streams: frozenset[str]
    legs: int


class Placement:
    """Tell it who `joined` and `left`, who `sits` where and who `rises`; it answers where the next one goes.

    Calls that change something return the streams whose home or users changed. `home`, `viewer` and `least` raise
    LookupError while there is no member.
    """

    def __init__(self, legs_per_worker: int = LEGS_PER_WORKER) -> None:
        self.limit = legs_per_worker
        self._members: dict[str, float] = {}
        self._seats: dict[str, _Seat] = {}
        self._users: dict[str, Counter[str]] = {}
        self._homes: dict[str, str] = {}
        self._legs: Counter[str] = Counter()

    @property
    def members(self) -> tuple[str, ...]:
        """The present members."""
        return tuple(self._members)

    def joined(self, member: str, weight: float = 1.0) -> None:
        """Take a member, or its new weight; streams in use stay where they are."""
        self._members[member] = weight

    def left(self, member: str) -> set[str]:
        """Take a member away with all that sits there; its streams that are still watched elsewhere get a new home."""
        self._members.pop(member, None)
        gone = [session for session, seat in self._seats.items() if seat.member == member]
        touched = {stream for session in gone for stream in self.rise(session)}
        for stream in [stream for stream, home in self._homes.items() if home == member]:
            touched.add(stream)
            del self._homes[stream]
            if self._members:
                self._homes[stream] = self.home(stream)
        return touched

    def home(self, stream: str) -> str:
        """Return where the stream lives, or would."""
        home = self._homes.get(stream)
        return home if home is not None else self._first(ranking(stream, self._members))

    def viewer(self, stream: str) -> str:
        """Return where the next viewer of a stream goes: to its home, but beside it while that is full."""
        home = self.home(stream)
        if self._legs[home] < self.limit:
            return home
        free = [member for member in ranking(stream, self._members) if self._legs[member] < self.limit]
        return free[0] if free else self.least()

    def least(self) -> str:
        """Return the member with the fewest legs for its weight."""
        weighed = [(self._legs[name] / weight, name) for name, weight in self._members.items() if weight > 0]
        return self._first([name for _, name in sorted(weighed)])

    @staticmethod
    def _first(members: list[str]) -> str:
        if not members:
            raise LookupError("there is no member")
        return members[0]

    def sit(self, session: str, member: str, streams: Iterable[str], legs: int) -> set[str]:
        """Note that a session uses these streams at a member, with so many legs; it may have sat elsewhere before."""
        touched = self.rise(session)
        seat = _Seat(member, frozenset(streams), legs)
        for stream in seat.streams:
            self._homes.setdefault(stream, self.home(stream) if self._members else member)
            self._users.setdefault(stream, Counter())[member] += 1
        self._seats[session] = seat
        self._legs[member] += legs
        return touched | seat.streams

    def rise(self, session: str) -> set[str]:
        """Note that a session uses nothing any more; an unknown one is no error."""
        seat = self._seats.pop(session, None)
        if seat is None:
            return set()
        self._legs[seat.member] -= seat.legs
        for stream in seat.streams:
            users = self._users[stream]
            users[seat.member] -= 1
            if not users[seat.member]:
                del users[seat.member]
            if not users:
                del self._users[stream]
                self._homes.pop(stream, None)
        return set(seat.streams)

    def member(self, session: str) -> str | None:
        """Return where a session sits."""
        seat = self._seats.get(session)
        return None if seat is None else seat.member

    def legs(self, member: str) -> int:
        """Return how many legs a member has."""
        return self._legs[member]

    def away(self, stream: str) -> frozenset[str]:
        """Return the members that use a stream without being its home: each needs it brought there once."""
        return frozenset(self._users.get(stream, ())) - {self._homes.get(stream, "")}
