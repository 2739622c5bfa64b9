"""RTP packets (RFC 3550 section 5.1, RFC 8285 header extensions): parse, and build for one leg.

**Nothing of the incoming header survives unseen**: extensions are dropped and rebuilt per leg, padding is cut, CSRCs
end here.
"""

import struct
from typing import NamedTuple

from gateway.adapters.media_embedded.rules.malformed import MalformedError

_HEAD = struct.Struct("!BBHII")
_ONE_BYTE = 0xBEDE
HEADER = 12


class Packet(NamedTuple):
    """A parsed packet; `payload` is without padding and may be empty (a probe). `block` holds header extensions.

    It reached this machine at `came`, in seconds of the worker's clock; 0 where nobody knows. A tuple, for one is
    made for every packet that comes in.
    """

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    block: bytes = b""
    came: float = 0.0

    @property
    def extensions(self) -> dict[int, bytes]:
        """Read the header extensions by id, as far as they can be read."""
        return elements(self.block)


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP on a shared port (RFC 5761 section 4: packet types 192 to 223)."""
    return len(data) > 1 and 192 <= data[1] <= 223


def parse(data: bytes) -> Packet:
    """Parse a decrypted packet; raises MalformedError."""
    if len(data) < HEADER:
        raise MalformedError("shorter than an RTP header")
    first, second, sequence, timestamp, ssrc = _HEAD.unpack_from(data)
    if first >> 6 != 2:
        raise MalformedError("RTP version is not 2")
    at, end = HEADER + 4 * (first & 15), len(data)
    block = b""
    if first & 0x10:
        begin, at = at, _extensions_end(data, at)
        block = data[begin:at]
    if first & 0x20:
        if data[-1] == 0:
            raise MalformedError("padding of length 0")
        end -= data[-1]
    if at > end:
        raise MalformedError("header and padding are longer than the packet")
    return Packet(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[at:end], block)


def _extensions_end(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise MalformedError("header extension is cut off")
    end = at + 4 + 4 * (data[at + 2] << 8 | data[at + 3])
    if end > len(data):
        raise MalformedError("header extension is longer than the packet")
    return end


def elements(block: bytes) -> dict[int, bytes]:
    """Read a block of header extensions, its four bytes of head included; what is cut off ends the reading."""
    profile = block[0] << 8 | block[1] if len(block) > 4 else 0
    if profile == _ONE_BYTE:
        return _one_byte(block)
    return _two_bytes(block) if profile >> 4 == 0x100 else {}


def _one_byte(block: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at, end = 4, len(block)
    while at < end:
        head = block[at]
        if head == 0:
            at += 1
            continue
        name, size = head >> 4, (head & 15) + 1
        if name == 15 or at + 1 + size > end:
            break
        found[name] = block[at + 1 : at + 1 + size]
        at += 1 + size
    return found


def _two_bytes(block: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at, end = 4, len(block)
    while at < end:
        if block[at] == 0:
            at += 1
            continue
        if at + 2 > end or at + 2 + block[at + 1] > end:
            break
        found[block[at]] = block[at + 2 : at + 2 + block[at + 1]]
        at += 2 + block[at + 1]
    return found


def extension_block(elements: dict[int, bytes]) -> bytes:
    """Build a one-byte header extension (ids 1 to 14, values of 1 to 16 bytes); empty for no elements."""
    if not elements:
        return b""
    body = b"".join(bytes([name << 4 | len(value) - 1]) + value for name, value in sorted(elements.items()))
    body += b"\0" * (-len(body) & 3)
    return struct.pack("!HH", _ONE_BYTE, len(body) // 4) + body


def place_of(elements: dict[int, bytes], name: int) -> int:
    """Return where an element begins in a block of these elements."""
    return 4 + sum(1 + len(value) for other, value in elements.items() if other < name)


def counted_block(elements: dict[int, bytes], number: int) -> bytes:
    """Build the same with an element of two bytes and this id at the end, of which the two bytes are left away."""
    body = b"".join(bytes([name << 4 | len(value) - 1]) + value for name, value in sorted(elements.items()))
    body += b"\0" * (-(len(body) + 3) & 3) + bytes([number << 4 | 1])
    return struct.pack("!HH", _ONE_BYTE, (len(body) + 2) // 4) + body


def header(payload_type: int, sequence: int, timestamp: int, ssrc: int, *, marker: bool, block: bytes = b"") -> bytes:
    """Build a header; `block` comes from `extension_block`."""
    first = 0x90 if block else 0x80
    return _HEAD.pack(first, payload_type | (0x80 if marker else 0), sequence, timestamp, ssrc) + block


def probe(head: bytes) -> bytes:
    """Turn a header into a packet of nothing but one byte of padding: it keeps a place in the sequence."""
    return bytes([head[0] | 0x20]) + head[1:] + b"\x01"


class Unwrapper:
    """Turns a wrapping counter of `bits` bits into one that never wraps; jumps back are negative steps."""

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self.last: int | None = None

    def unwrap(self, value: int) -> int:
        """Return the number nearest to the highest one seen whose low bits are `value`."""
        if self.last is None:
            self.last = value + self._size
            return self.last
        step = (value - self.last) % self._size
        if step >= self._size // 2:
            return self.last + step - self._size
        self.last += step
        return self.last
