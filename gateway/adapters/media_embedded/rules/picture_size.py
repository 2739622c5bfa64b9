"""Width and height of a coded picture, read from its head: containers want to know them."""

from gateway.adapters.media_embedded.rules import av1, vp9
from gateway.adapters.media_embedded.rules.malformed import MalformedError

HIGH = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
"""Profiles whose parameter set has chroma format and scaling matrices."""
LONGEST_SET = 1024
VP9_SYNC, VP9_RGB = 0x498342, 7


class _Bits:
    """Bits from the first one on; raises MalformedError behind the last."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    @classmethod
    def of_unit(cls, unit: bytes) -> "_Bits":
        """Return the bits of a NAL unit without its emulation prevention bytes."""
        return cls(unit.replace(b"\0\0\3", b"\0\0"))

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
    """Return width and height of an SPS (H.264 section 7.3.2.1.1), with its NAL header and without a start code.

    Raises MalformedError.
    """
    if not 4 <= len(parameter_set) <= LONGEST_SET:
        raise MalformedError("a parameter set of this length cannot be")
    bits = _Bits.of_unit(parameter_set[1:])
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


def of_h265(parameter_set: bytes) -> tuple[int, int]:
    """Return width and height of an SPS (H.265 section 7.3.2.2.1), with its NAL header and without a start code.

    Raises MalformedError.
    """
    if not 4 <= len(parameter_set) <= LONGEST_SET:
        raise MalformedError("a parameter set of this length cannot be")
    bits = _Bits.of_unit(parameter_set[2:])
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    bits.take(88 + 8)
    told = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    bits.take(2 * (8 - layers) if layers else 0)
    for profile, level in told:
        bits.take(88 * profile + 8 * level)
    bits.unsigned()
    chroma = bits.unsigned()
    if chroma == 3:
        bits.take(1)
    width, height = bits.unsigned(), bits.unsigned()
    crop = [bits.unsigned() for _ in range(4)] if bits.take(1) else [0, 0, 0, 0]
    step_x, step_y = 2 if chroma in {1, 2} else 1, 2 if chroma == 1 else 1
    return _checked(width - (crop[0] + crop[1]) * step_x, height - (crop[2] + crop[3]) * step_y)


def of_vp9(frame: bytes) -> tuple[int, int]:
    """Return width and height of a VP9 key frame (VP9 section 6.2), of the lowest layer of several.

    Raises MalformedError, also on what is no key frame.
    """
    if not vp9.is_key(frame):
        raise MalformedError("not the head of a VP9 key frame")
    bits = _Bits(frame[:16])
    bits.take(2)
    profile = bits.take(1) | bits.take(1) << 1
    bits.take(5 if profile == 3 else 4)
    if bits.take(24) != VP9_SYNC:
        raise MalformedError("a VP9 key frame without its sync code")
    if profile >= 2:
        bits.take(1)
    if bits.take(3) != VP9_RGB:
        bits.take(4 if profile & 1 else 1)
    elif profile & 1:
        bits.take(1)
    return _checked(bits.take(16) + 1, bits.take(16) + 1)


def of_av1(unit: bytes) -> tuple[int, int]:
    """Return the largest width and height of a coded video sequence, by its header (AV1 section 5.5.1).

    `unit` is a temporal unit whose OBUs tell their size; raises MalformedError, also where it has no sequence header.
    """
    header = next((body for kind, body, _ in av1.obus(unit) if kind == av1.SEQUENCE_HEADER), b"")
    bits = _Bits(header[:LONGEST_SET])
    bits.take(3 + 1)
    if bits.take(1):
        bits.take(5)
    else:
        _operating_points(bits)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return _checked(bits.take(across) + 1, bits.take(down) + 1)


def _operating_points(bits: _Bits) -> None:
    delay = _av1_timing(bits)
    display = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay and bits.take(1):
            bits.take(2 * delay + 1)
        if display and bits.take(1):
            bits.take(4)


def _av1_timing(bits: _Bits) -> int:
    """Return the length of a buffer's delay in bits, 0 where no decoder model is told."""
    if not bits.take(1):
        return 0
    bits.take(32 + 32)
    if bits.take(1):
        bits.unsigned()
    if not bits.take(1):
        return 0
    delay = bits.take(5) + 1
    bits.take(32 + 5 + 5)
    return delay


def _checked(width: int, height: int) -> tuple[int, int]:
    if not 0 < width <= 16384 or not 0 < height <= 16384:
        raise MalformedError("a picture of this size cannot be")
    return width, height
