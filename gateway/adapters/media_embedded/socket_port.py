"""One UDP socket of the worker: drained in bounded slices, its losses known."""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gateway.adapters.media_embedded.rules.rows import Steady
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.rush import Rush
from gateway.adapters.media_embedded.rules.stun import Address

BUFFER = 4 << 20
SLICE = 256
"""Datagrams taken per turn of the loop, so that timers are never starved."""
LONGEST = 2048
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h; need CAP_NET_ADMIN

UDP_SEGMENT = 103  # linux/udp.h
NO_SEGMENTING = frozenset({errno.EINVAL, errno.EIO})
"""What a kernel or a network card that cannot segment answers."""

Receiver = Callable[["SocketPort", bytes, Address], None]


class Heard(NamedTuple):
    """Media of one peer that came together, read: what is `wrong` with other packets, `octets` of all datagrams.

    `marked` says that a frame's last packet is among them. `total` packets came, some of them perhaps as rows.
    """

    packets: list[Packet | Steady]
    wrong: list[str]
    octets: int
    marked: bool
    total: int


Ancillary = tuple[tuple[int, int, bytes], ...]


class SocketPort:
    """Sends and receives datagrams; `receive` is called for each, `after` once per slice. Errors are counted."""

    def __init__(self, host: str, number: int, receive: Receiver, after: Callable[["SocketPort"], None]) -> None:
        """Bind at once; raises OSError where the port is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._receive, self._after = receive, after
        self.six: bool = family == socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.settimeout(0)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._enlarge(SO_RCVBUFFORCE, socket.SO_RCVBUF)
            self._enlarge(SO_SNDBUFFORCE, socket.SO_SNDBUF)
            self._socket.bind((host, number))
        except OSError:
            self._socket.close()
            raise
        self.number: int = self._socket.getsockname()[1]
        self.refused = self.unsent = self.full = 0
        self.read: Callable[[Address, Heard], None] | None = None
        """Who takes media that a port has read by itself; where nobody does, `receive` gets all datagrams."""
        self._sendmsg = self._socket.sendmsg
        self._segments: dict[int, Ancillary] = {}
        self._paused = self._closed = False
        self.rush = Rush()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._drain)

    def _enlarge(self, force: int, plain: int) -> None:
        """Ask for large buffers: beyond the system's limit where we may, else up to it."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, force, BUFFER)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, plain, BUFFER)

    def _drain(self) -> None:
        self.rush.woken(self._loop.time())
        self._take()
        self._after(self)

    def _take(self) -> int:
        """Take a slice; returns how many datagrams there were."""
        receive, recvfrom = self._receive, self._socket.recvfrom
        for count in range(SLICE):
            try:
                data, source = recvfrom(LONGEST)
            except BlockingIOError:
                return count
            except OSError:
                self.refused += 1  # the ICMP answer to an earlier datagram
                continue
            if data:
                receive(self, data, source[:2])
        return SLICE

    def pause(self) -> None:
        """Leave what comes in to the kernel's buffer until `look`: one wake-up for all of it."""
        if not self._paused and not self._closed:
            self._paused = True
            self._loop.remove_reader(self._socket.fileno())

    def look(self) -> None:
        """Take a slice of what came in while paused (`after` is not called)."""
        if self._paused and not self._closed:
            self.rush.looked(self._loop.time(), found=self._take() > 0)

    def resume(self) -> None:
        """Listen again."""
        if self._paused and not self._closed:
            self._paused = False
            self._loop.add_reader(self._socket.fileno(), self._drain)

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; a full buffer or an unreachable peer is counted, never raised."""
        try:
            self._socket.sendto(data, to)
        except BlockingIOError:
            self.full += 1
        except OSError:
            self.unsent += 1

    def send_group(self, parts: list[bytes], size: int, count: int, to: Address) -> bool:
        """Send `count` datagrams at once: all of `size` bytes, the last one perhaps shorter.

        `parts` are two for each datagram. Returns False where the kernel cannot do it at all; they were sent singly
        then, as they are to a peer behind a link that is too narrow for `size` (the network fragments them).
        """
        segments = self._segments.get(size)
        if segments is None:
            segments = self._segments[size] = ((socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size)),)
        try:
            self._sendmsg(parts, segments if count > 1 else (), 0, to)
        except BlockingIOError:
            self.full += count
        except OSError as error:
            if count > 1 and error.errno in NO_SEGMENTING:
                self.send_pairs(parts, to)
                return False
            if count > 1 and error.errno == errno.EMSGSIZE:
                self.send_pairs(parts, to)
            else:
                self.unsent += count
        return True

    def send_pairs(self, parts: list[bytes], to: Address) -> None:
        """Send a datagram for each two parts."""
        for at in range(0, len(parts), 2):
            try:
                self._sendmsg(parts[at : at + 2], (), 0, to)
            except BlockingIOError:
                self.full += 1
            except OSError:
                self.unsent += 1

    def prove(self, address: Address) -> None:
        """See `way.Way`; nothing is kept per peer."""

    def release(self, address: Address) -> None:
        """See `way.Way`; nothing is kept per peer."""

    def overflowed(self) -> int:
        """Return how many datagrams the kernel dropped for want of room (/proc/net/udp, column `drops`)."""
        table = Path("/proc/net/udp6" if self._socket.family == socket.AF_INET6 else "/proc/net/udp")
        inode = str(self._inode())
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            return 0
        return sum(int(fields[12]) for line in lines if len(fields := line.split()) > 12 and fields[9] == inode)

    def _inode(self) -> int:
        return Path(f"/proc/self/fd/{self._socket.fileno()}").stat().st_ino

    def close(self) -> None:
        """Stop receiving and free the port."""
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
