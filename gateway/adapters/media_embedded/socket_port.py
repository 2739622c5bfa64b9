"""One UDP socket of the worker: drained in bounded slices, its losses known."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from gateway.adapters.media_embedded.rules.stun import Address

BUFFER = 4 << 20
SLICE = 256
"""Datagrams taken per turn of the loop, so that timers are never starved."""
LONGEST = 2048
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h; need CAP_NET_ADMIN

Receiver = Callable[[bytes, Address], None]


class SocketPort:
    """Sends and receives datagrams; `receive` is called for each, `after` once per slice. Errors are counted."""

    def __init__(self, host: str, number: int, receive: Receiver, after: Callable[[], None]) -> None:
        """Bind at once; raises OSError where the port is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._receive, self._after = receive, after
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
        self.refused = self.unsent = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._drain)

    def _enlarge(self, force: int, plain: int) -> None:
        """Ask for large buffers: beyond the system's limit where we may, else up to it."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, force, BUFFER)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, plain, BUFFER)

    def _drain(self) -> None:
        for _ in range(SLICE):
            try:
                data, source = self._socket.recvfrom(LONGEST)
            except BlockingIOError:
                break
            except OSError:
                self.refused += 1  # the ICMP answer to an earlier datagram
                continue
            if data:
                self._receive(data, (source[0], source[1]))
        self._after()

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; a full buffer or an unreachable peer is counted, never raised."""
        try:
            self._socket.sendto(data, to)
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
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
