"""What a session needs of the socket by which a peer is reached, be it UDP or TCP."""

from typing import Protocol

from gateway.adapters.media_embedded.rules.stun import Address


class Way(Protocol):
    """A UDP port, or the connections of a TCP one."""

    number: int

    def send(self, data: bytes, to: Address) -> None:
        """Send one packet; what cannot be sent is counted, never raised."""

    def send_group(self, parts: list[bytes], size: int, count: int, to: Address) -> bool:
        """Send `count` packets of `size` bytes, the last one perhaps shorter; `parts` are two for each packet.

        Returns False where such sends do not work at all (the packets were sent singly).
        """

    def send_pairs(self, parts: list[bytes], to: Address) -> None:
        """Send a packet for each two parts."""

    def prove(self, address: Address) -> None:
        """Note that this peer has passed an ICE check."""

    def release(self, address: Address) -> None:
        """Let go of a peer that no session needs any more."""
