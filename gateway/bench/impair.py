"""Bad lines on loopback: a UDP relay that loses, delays, reorders, doubles, throttles and cuts, always the same way.

One process, one loop; this kernel's own means are not needed, nor any right. Each client gets a socket of its own
towards the server, as behind a NAT, so the server tells clients apart by their addresses.
"""

import asyncio
import math
import random
import re
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

Address = tuple[str, int]
HOST = "127.0.0.1"
LONGEST = 2048
SLICE = 64
_UDP = re.compile(r"(a=candidate:\S+ \d+ udp \d+) \S+ \d+ (typ host[^\r\n]*)", re.IGNORECASE)
_TCP = re.compile(r"a=candidate:\S+ \d+ tcp [^\r\n]*\r?\n", re.IGNORECASE)


@dataclass(slots=True)
class Impairment:
    """What happens to one direction; it may be changed while packets pass. The default does nothing.

    `rate_bps` 0 means without bound; what would wait in the queue for longer than `queue_s` is dropped. Jitter keeps
    the order, as queues do; `reordered` packets come late behind others.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reordered: float = 0.0
    doubled: float = 0.0
    rate_bps: float = 0.0
    queue_s: float = 0.3
    cut: bool = False


REORDERED_BY_S = 0.02


@dataclass(slots=True)
class Direction:
    """One direction of one client: decides what becomes of each packet. Time is an argument."""

    rules: Impairment
    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    free_at: float = 0.0
    last_at: float = -math.inf

    def fate(self, size: int, now: float) -> list[float]:
        """Return when the packet goes on: nowhere, once, or twice."""
        rules = self.rules
        self.counts["came"] += 1
        if rules.cut or self.chance.random() < rules.loss:
            self.counts["cut" if rules.cut else "lost"] += 1
            return []
        at = now
        if rules.rate_bps:
            at = max(now, self.free_at)
            if at - now > rules.queue_s:
                self.counts["overflowed"] += 1
                return []
            at += size * 8 / rules.rate_bps
            self.free_at = at
        at += rules.delay_s + self.chance.random() * rules.jitter_s
        if self.chance.random() < rules.reordered:
            self.counts["reordered"] += 1
            return [at + REORDERED_BY_S]
        # Timers of one and the same moment go off in any order.
        at = self.last_at = max(at, math.nextafter(self.last_at, math.inf))
        if self.chance.random() < rules.doubled:
            self.counts["doubled"] += 1
            return [at, at]
        return [at]


class BadLine:
    """`async with BadLine(port) as line`: what is sent to `line.port` reaches the server's port on loopback, impaired.

    `up` is the way to the server, `down` the way back; `counts` sums both. The same seed gives the same fates.
    """

    def __init__(
        self, server_port: int, *, up: Impairment | None = None, down: Impairment | None = None, seed: int = 1
    ) -> None:
        self.up, self.down = up or Impairment(), down or Impairment()
        self.port = 0
        self._server = (HOST, server_port)
        self._chance = random.Random(seed)  # noqa: S311 - fates of packets, not secrets
        self._clients: dict[Address, socket.socket] = {}
        self._directions: list[Direction] = []
        self._listening: socket.socket | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._listening = _open()
        self._listening.bind((HOST, 0))
        self.port = self._listening.getsockname()[1]
        up: dict[Address, Direction] = {}

        def to_server(data: bytes, source: Address) -> None:
            if source not in up:
                up[source] = self._direction(self.up)
                self._clients[source] = self._towards(source)
            self._carry(up[source], self._clients[source], data, self._server)

        self._read(self._listening, to_server)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for one in (self._listening, *self._clients.values()):
            if one is not None:
                self._loop.remove_reader(one.fileno())
                one.close()
        self._clients.clear()
        self._listening = None

    @property
    def counts(self) -> Counter[str]:
        """What happened so far, by name: came, lost, cut, overflowed, reordered, doubled."""
        return sum((direction.counts for direction in self._directions), Counter())

    def cut(self, *, off: bool = True) -> None:
        """Cut both ways, or mend them."""
        self.up.cut = self.down.cut = off

    def through(self, sdp: str) -> str:
        """Return the server's SDP with this line's address in place of its candidates; TCP ones are left out."""
        return _UDP.sub(rf"\1 {HOST} {self.port} \2", _TCP.sub("", sdp))

    def _direction(self, rules: Impairment) -> Direction:
        made = Direction(rules, random.Random(self._chance.random()))  # noqa: S311 - as above
        self._directions.append(made)
        return made

    def _towards(self, client: Address) -> socket.socket:
        """Open the socket that stands for a client at the server."""
        own, down = _open(), self._direction(self.down)
        own.bind((HOST, 0))

        def back(data: bytes, _: Address) -> None:
            if self._listening is not None:
                self._carry(down, self._listening, data, client)

        self._read(own, back)
        return own

    def _read(self, one: socket.socket, take: Callable[[bytes, Address], None]) -> None:
        def drain() -> None:
            for _ in range(SLICE):
                try:
                    data, source = one.recvfrom(LONGEST)
                except BlockingIOError:
                    return
                except OSError:
                    continue  # the far end's port is closed: as if lost
                take(data, source)

        self._loop.add_reader(one.fileno(), drain)

    def _carry(self, direction: Direction, through: socket.socket, data: bytes, to: Address) -> None:
        now = self._loop.time()
        for at in direction.fate(len(data), now):
            if at <= now:
                _send(through, data, to)
            else:
                self._loop.call_at(at, _send, through, data, to)


def _open() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    return made


def _send(through: socket.socket, data: bytes, to: Address) -> None:
    if through.fileno() >= 0:
        try:
            through.sendto(data, to)
        except OSError:
            return  # a full buffer or a closed port: as if lost
