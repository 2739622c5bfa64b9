"""Width and height of a coded picture, read from its head: containers want to know them (H.264 section 7.3.2.1)."""

from gateway.adapters.media_embedded.rules.malformed import MalformedError

HIGH = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
"""Profiles whose parameter set has chroma format and scaling matrices."""
LONGEST_SET = 1024


class _Bits:
    """Bits of a NAL unit without its emulation prevention bytes."""

    def __init__(self, unit: bytes) -> None:
        data = unit.replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        """Return the next bits."""
        if count > self._left:
            raise MalformedError("a parameter set is cut off")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        """Return the next ue(v)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise MalformedError("a number in a parameter set is too long")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """Return the next se(v)."""
        value = self.unsigned()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def of_h264(parameter_set: bytes) -> tuple[int, int]:
    """Return width and height of an SPS, with its NAL header and without a start code; raises MalformedError."""
    if not 4 <= len(parameter_set) <= LONGEST_SET:
        raise MalformedError("a parameter set of this length cannot be")
    bits = _Bits(parameter_set[1:])
    profile = bits.take(8)
    bits.take(16)
    bits.unsigned()
    chroma = _chroma(bits) if profile in HIGH else 1
    bits.unsigned()
    _picture_order(bits)
    bits.unsigned()
    bits.take(1)
    across, units = bits.unsigned() + 1, bits.unsigned() + 1
    fields = 1 - bits.take(1)
    if fields:
        bits.take(1)
    bits.take(1)
    crop = [bits.unsigned() for _ in range(4)] if bits.take(1) else [0, 0, 0, 0]
    step_x = 2 if chroma in {1, 2} else 1
    step_y = (2 if chroma == 1 else 1) * (1 + fields)
    width = across * 16 - (crop[0] + crop[1]) * step_x
    height = units * 16 * (1 + fields) - (crop[2] + crop[3]) * step_y
    return _checked(width, height)


def _chroma(bits: _Bits) -> int:
    chroma = bits.unsigned()
    if chroma == 3:
        bits.take(1)
    bits.unsigned()
    bits.unsigned()
    bits.take(1)
    if bits.take(1):
        for place in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling(bits, 16 if place < 6 else 64)
    return chroma


def _skip_scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _picture_order(bits: _Bits) -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()
    elif kind == 1:
        bits.take(1)
        bits.signed()
        bits.signed()
        count = bits.unsigned()
        if count > 255:
            raise MalformedError("a picture order cycle of this length cannot be")
        for _ in range(count):
            bits.signed()


def of_vp8(frame: bytes) -> tuple[int, int]:
    """Return width and height of a VP8 key frame (RFC 6386 section 9.1); raises MalformedError."""
    if len(frame) < 10 or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        raise MalformedError("not the head of a VP8 key frame")
    return _checked(int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF)


def _checked(width: int, height: int) -> tuple[int, int]:
    if not 0 < width <= 16384 or not 0 < height <= 16384:
        raise MalformedError("a picture of this size cannot be")
    return width, height
