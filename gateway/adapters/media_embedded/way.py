"""What a session needs of the socket by which a peer is reached, be it UDP or TCP."""

from typing import Protocol

from gateway.adapters.media_embedded.rules.stun import Address


class Way(Protocol):
    """A UDP port, or the connections of a TCP one."""

    number: int

    def send(self, data: bytes, to: Address) -> None:
        """Send one packet; what cannot be sent is counted, never raised."""

    def prove(self, address: Address) -> None:
        """Note that this peer has passed an ICE check."""

    def release(self, address: Address) -> None:
        """Let go of a peer that no session needs any more."""
