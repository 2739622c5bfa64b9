"""VP9 in RTP (RFC 9628): payload descriptor, and the frames of one picture put together."""

from gateway.adapters.media_embedded.rules.malformed import MalformedError

MAX_PICTURE = 4 << 20
"""Longest picture, all its layers together, that is put together, in bytes."""
MAX_LAYERS = 8
"""A superframe has no more frames (VP9 bitstream specification, Annex B)."""
_MAX_REFERENCES = 3
_HAS_ID, _PREDICTED, _LAYERED, _FLEXIBLE, _BEGIN, _END, _STRUCTURE = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02


def descriptor_length(payload: bytes) -> int:
    """Return how many bytes the payload descriptor takes (RFC 9628 section 4.2); raises MalformedError."""
    if not payload:
        raise MalformedError("an empty VP9 payload")
    flags, at = payload[0], 1
    try:
        if flags & _HAS_ID:
            at += 2 if payload[at] & 0x80 else 1
        if flags & _LAYERED:
            at += 1 if flags & _FLEXIBLE else 2
        if flags & _FLEXIBLE and flags & _PREDICTED:
            at = _after_references(payload, at)
        if flags & _STRUCTURE:
            at = _after_structure(payload, at)
    except IndexError as error:
        raise MalformedError("a VP9 descriptor is cut off") from error
    if at > len(payload):
        raise MalformedError("a VP9 descriptor is cut off")
    return at


def _after_references(payload: bytes, at: int) -> int:
    for place in range(at, at + _MAX_REFERENCES):
        if not payload[place] & 1:
            return place + 1
    raise MalformedError("a VP9 frame with more than three references")


def _after_structure(payload: bytes, at: int) -> int:
    head = payload[at]
    at += 1
    if head & 0x10:
        at += 4 * ((head >> 5) + 1)
    if head & 0x08:
        count = payload[at]
        at += 1
        for _ in range(count):
            at += 1 + (payload[at] >> 2 & 3)
    return at


def picture(payloads: list[bytes]) -> bytes:
    """Join the RTP payloads of one picture: a frame, or a superframe where it has several layers.

    Raises MalformedError on a frame whose beginning or end is missing and on what is longer than `MAX_PICTURE`.
    """
    frames: list[bytearray] = []
    is_open, octets = False, 0
    for payload in payloads:
        if not payload:
            continue
        begins = bool(payload[0] & _BEGIN)
        if begins == is_open:
            raise MalformedError("a VP9 frame without its end" if begins else "a VP9 frame without its beginning")
        if begins:
            frames.append(bytearray())
        part = payload[descriptor_length(payload) :]
        octets += len(part)
        if octets > MAX_PICTURE or len(frames) > MAX_LAYERS:
            raise MalformedError("the picture is too long")
        frames[-1] += part
        is_open = not payload[0] & _END
    if is_open or not all(frames):
        raise MalformedError("a VP9 frame without its end")
    return _superframe(frames) if len(frames) > 1 else b"".join(frames)


def _superframe(frames: list[bytearray]) -> bytes:
    """Put an index behind the frames, without which decoders would take the first one alone."""
    width = max(1, (max(map(len, frames)).bit_length() + 7) // 8)
    marker = bytes([0xC0 | (width - 1) << 3 | len(frames) - 1])
    sizes = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    return b"".join(frames) + marker + sizes + marker


def is_key(data: bytes) -> bool:
    """Tell whether a picture begins with a key frame, by its uncompressed header (VP9 section 6.2)."""
    if not data or data[0] >> 6 != 2:
        return False
    # Profile 3 has a reserved bit before `show_existing_frame` and `frame_type`.
    kind = data[0] >> 1 if data[0] & 0x30 == 0x30 else data[0] >> 2
    return kind & 3 == 0
