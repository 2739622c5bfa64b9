"""Passive ICE-TCP (RFC 6544): connections on the worker's port number, each a peer like an address of the UDP port.

**Nothing here waits**: a connection that does not prove itself soon is closed, and one that reads too slowly loses
whole packets, counted, while everybody else goes on. A peer's address bears `stun.TCP` in front of its host, so that
it is never mistaken for the same numbers on UDP.
"""

import asyncio
import contextlib
import errno
import socket
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.adapters.media_embedded.rules.framing import Deframer, frame
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.stun import TCP, Address

MAX_CONNECTIONS, MAX_UNPROVED = 1024, 128
"""Connections in all, and those of them that have not passed an ICE check; a further one is closed at once."""
UNPROVED_S, UNPROVED_BYTES = 10.0, 8192
BACKLOG = 512 * 1024
"""Bytes that wait for one slow reader: a key frame and a second of picture. What comes on top is dropped."""
SPARE = 16 * 1024
"""Room above BACKLOG that only checks and handshakes may use, so that consent outlives a full line."""
LOWAT = 64 * 1024
"""Unsent bytes in the kernel beyond which we keep packets ourselves: a deep kernel queue would only make them old."""
ACCEPTED_AT_ONCE, READ_AT_ONCE = 16, 65536
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
TCP_NOTSENT_LOWAT = 25  # linux/tcp.h

Receiver = Callable[[bytes, Address], None]


@dataclass(slots=True)
class _Peer:
    link: socket.socket
    address: Address
    deadline: asyncio.TimerHandle
    deframer: Deframer = field(default_factory=Deframer)
    taken: int = 0
    proved: bool = False
    leaving: bool = False
    waiting: deque[bytes] = field(default_factory=deque)
    backlog: int = 0


class TcpPort:
    """Listens beside a UDP port. `receive` is called for each packet, `gone` when a connection has ended."""

    def __init__(self, host: str, number: int, receive: Receiver, gone: Callable[[Address], None]) -> None:
        """Listen at once; raises OSError where the port is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._receive, self._gone = receive, gone
        self._loop = asyncio.get_running_loop()
        self._peers: dict[Address, _Peer] = {}
        self._unproved = 0
        self.dropped: Counter[str] = Counter()
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind((host, number))
            self._socket.listen(128)
        except OSError:
            self._socket.close()
            raise
        self.number: int = self._socket.getsockname()[1]
        self._retry: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket.fileno(), self._accept)

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._peers)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                link, source = self._socket.accept()
            except OSError as error:
                if error.errno in SHORT:
                    self._pause()
                return
            if len(self._peers) >= MAX_CONNECTIONS or self._unproved >= MAX_UNPROVED:
                self.dropped["tcp_too_many"] += 1
                link.close()
                continue
            self._welcome(link, (TCP + source[0], source[1]))

    def _pause(self) -> None:
        """Leave who waits at the door for a while: without it the loop would spin."""
        self.dropped["tcp_too_many"] += 1
        self._loop.remove_reader(self._socket.fileno())
        self._retry = self._loop.call_later(1.0, self._loop.add_reader, self._socket.fileno(), self._accept)

    def _welcome(self, link: socket.socket, address: Address) -> None:
        link.settimeout(0)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            link.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, LOWAT)
        peer = _Peer(link, address, self._loop.call_later(UNPROVED_S, self._expire, address))
        self._peers[address] = peer
        self._unproved += 1
        self._loop.add_reader(link.fileno(), self._read, peer)

    def _expire(self, address: Address) -> None:
        peer = self._peers.get(address)
        if peer is not None and (not peer.proved or peer.leaving):
            if not peer.proved:
                self.dropped["tcp_unproved"] += 1
            self._end(peer)

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.link.recv(READ_AT_ONCE if peer.proved else UNPROVED_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._end(peer)
            return
        try:
            packets = peer.deframer.feed(data)
        except MalformedError:
            self.dropped["tcp_malformed"] += 1
            self._end(peer)
            return
        for packet in packets:
            if peer.address in self._peers and not peer.leaving:
                self._receive(packet, peer.address)
        peer.taken += len(data)
        if not peer.proved and peer.taken > UNPROVED_BYTES and peer.address in self._peers:
            self.dropped["tcp_unproved"] += 1
            self._end(peer)

    def send(self, data: bytes, to: Address) -> None:
        """Send one packet, or keep it until the peer reads; dropped whole where too much waits already."""
        peer = self._peers.get(to)
        if peer is None:
            self.dropped["unsent"] += 1
            return
        if peer.backlog + len(data) > BACKLOG + (SPARE if data[0] < 64 else 0):
            self.dropped["tcp_backlog"] += 1
            return
        peer.waiting.append(frame(data))
        peer.backlog += len(data) + 2
        if len(peer.waiting) == 1:
            self._write(peer)

    def send_group(self, parts: list[bytes], size: int, count: int, to: Address) -> bool:
        """See `way.Way`; TCP has no need of groups."""
        self.send_pairs(parts, to)
        return True

    def send_pairs(self, parts: list[bytes], to: Address) -> None:
        """See `way.Way`."""
        for at in range(0, len(parts), 2):
            self.send(parts[at] + parts[at + 1], to)

    def _write(self, peer: _Peer) -> None:
        while peer.waiting:
            first = peer.waiting[0]
            try:
                sent = peer.link.send(first)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self._loop.call_soon(self._end, peer)
                peer.waiting.clear()
                return
            peer.backlog -= sent
            if sent < len(first):
                peer.waiting[0] = first[sent:]
                break
            peer.waiting.popleft()
        if peer.waiting:
            self._loop.add_writer(peer.link.fileno(), self._write, peer)
        else:
            self._loop.remove_writer(peer.link.fileno())
            if peer.leaving:
                self._end(peer)

    def prove(self, address: Address) -> None:
        """Note that a peer has passed an ICE check: from now on it may stay."""
        peer = self._peers.get(address)
        if peer is not None and not peer.proved:
            peer.proved = True
            peer.deadline.cancel()
            self._unproved -= 1

    def release(self, address: Address) -> None:
        """Close a connection that no session needs any more, when what waits was read or does not get read soon."""
        peer = self._peers.get(address)
        if peer is None:
            return
        peer.leaving = True
        if peer.waiting:
            peer.deadline.cancel()
            peer.deadline = self._loop.call_later(UNPROVED_S, self._expire, address)
        else:
            self._end(peer)

    def _end(self, peer: _Peer) -> None:
        if self._peers.get(peer.address) is not peer:
            return
        del self._peers[peer.address]
        if not peer.proved:
            self._unproved -= 1
        peer.deadline.cancel()
        self._loop.remove_reader(peer.link.fileno())
        self._loop.remove_writer(peer.link.fileno())
        peer.link.close()
        self._gone(peer.address)

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for peer in list(self._peers.values()):
            self._end(peer)
