"""Packets on a TCP connection (RFC 4571): two bytes of length before each; an empty packet is a keep-alive."""

import struct

from gateway.adapters.media_embedded.rules.malformed import MalformedError

LONGEST = 2048
"""A longer packet than a UDP socket of ours would take ends the connection."""
_LENGTH = struct.Struct("!H")


def frame(packet: bytes) -> bytes:
    """Put the length before a packet."""
    return _LENGTH.pack(len(packet)) + packet


class Deframer:
    """Cuts what arrives on one connection into packets; keeps less than one packet."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the packets that are now whole; raises MalformedError where the length cannot be one of ours."""
        kept, found, at = self._kept, [], 0
        kept += data
        while at + 2 <= len(kept):
            (size,) = _LENGTH.unpack_from(kept, at)
            if size > LONGEST:
                raise MalformedError("a frame is longer than any packet of ours")
            if at + 2 + size > len(kept):
                break
            if size:
                found.append(bytes(kept[at + 2 : at + 2 + size]))
            at += 2 + size
        del kept[:at]
        return found
