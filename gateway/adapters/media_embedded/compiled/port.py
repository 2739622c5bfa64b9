"""A UDP socket of the worker that takes many datagrams with one system call."""

import contextlib
import errno
import socket
import struct
from collections.abc import Callable

from typing_extensions import override

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.compiled.library import BATCH, Library
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.socket_port import SLICE, Receiver, SocketPort

SO_TIMESTAMPNS = 35  # asm-generic/socket.h
"""The kernel says when it had each datagram: how late this process reads is no property of the line."""
MAX_KNOWN = 8192
"""Addresses whose spelling is remembered; then all are spelled anew."""
_INET = struct.Struct("=HH").unpack_from
_INET6 = struct.Struct("=HHI16sI").unpack_from


class CompiledPort(SocketPort):
    """As `SocketPort`; `descriptor` is there for sending."""

    def __init__(
        self, library: Library, host: str, number: int, receive: Receiver, after: Callable[[SocketPort], None]
    ) -> None:
        super().__init__(host, number, receive, after)
        with contextlib.suppress(OSError):  # where it cannot be had, what comes counts from when it is read
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.descriptor = self._socket.fileno()
        self._library = library
        self._known: dict[bytes, Address] = {}

    @override
    def _take(self) -> int:
        receive, read, library, known = self._receive, self.read, self._library, self._known
        taken = 0
        while taken < SLICE and not self._closed:
            count = library.receive(self.descriptor, moment.now(), reading=read is not None)
            if count == -errno.EAGAIN:
                break
            if count < 0:
                self.refused += 1  # the ICMP answer to an earlier datagram
                taken += 1
                continue
            if read is not None:
                for raw, heard in library.readings():
                    read(known.get(raw) or self._spell(raw), heard)
            full, unsent = library.failed
            self.full += full
            self.unsent += unsent
            for data, raw in library.arrivals():
                if data:
                    receive(self, data, known.get(raw) or self._spell(raw))
            taken += count
            if count < BATCH:
                break
        return taken

    @override
    def close(self) -> None:
        self.descriptor = -1  # the number may become another socket's
        super().close()

    def _spell(self, raw: bytes) -> Address:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        found = self._known[raw] = spelled(raw)
        return found


def spelled(raw: bytes) -> Address:
    """Read a sockaddr_in or sockaddr_in6, spelled as Python's sockets do."""
    family, port = _INET(raw)
    port = socket.ntohs(port)
    if family == socket.AF_INET:
        return socket.inet_ntoa(raw[4:8]), port
    _, _, flow, ip, scope = _INET6(raw)
    host = socket.inet_ntop(socket.AF_INET6, ip)
    if scope:
        host = socket.getnameinfo((host, port, flow, scope), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    return host, port


def sockaddr(address: Address) -> bytes:
    """Return a sockaddr for an address as `spelled` gives it; empty for one with a zone."""
    host, port = address
    if "%" in host:
        return b""
    if ":" not in host:
        return struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port), socket.inet_aton(host))
    return struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), 0, socket.inet_pton(socket.AF_INET6, host), 0)
