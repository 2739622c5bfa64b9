"""Host candidates as we write them into SDP: UDP first, the same addresses by TCP after them (RFC 6544 section 4)."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules.ice import HOST_PRIORITY
from gateway.adapters.media_embedded.rules.stun import TCP, Address

TCP_PRIORITY = 90 << 24 | 4 << 21 | 8191 << 8 | 255
"""Of a passive host candidate: type preference below every UDP one, direction preference 4 (RFC 6544 section 4.2)."""


@dataclass(frozen=True, slots=True)
class HostCandidate:
    """One line's values."""

    foundation: str
    protocol: str
    priority: int
    ip: str
    port: int

    @property
    def line(self) -> str:
        """The line without `a=`."""
        text = f"candidate:{self.foundation} 1 {self.protocol} {self.priority} {self.ip} {self.port} typ host"
        return f"{text} tcptype passive" if self.protocol == "tcp" else text


def listed(addresses: Iterable[Address]) -> list[HostCandidate]:
    """Return our addresses numbered and weighed; those with `TCP` in front of the host are connections."""
    found = []
    for place, (host, port) in enumerate(addresses, 1):
        tcp = host.startswith(TCP)
        priority = (TCP_PRIORITY if tcp else HOST_PRIORITY) - place * 256
        found.append(HostCandidate(str(place), "tcp" if tcp else "udp", priority, host.removeprefix(TCP), port))
    return found
