"""VP8 in RTP (RFC 7741): payload descriptor, key frames, frames put together, picture ids continued over a switch."""

from dataclasses import dataclass

from gateway.adapters.media_embedded.rules.malformed import MalformedError

MAX_FRAME = 4 << 20


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The payload descriptor: its `length`, whether a partition starts, and where the counters stand (or None)."""

    length: int
    start: bool
    partition: int
    picture_id_at: int | None
    picture_id_bits: int
    picture_id: int
    level_at: int | None


def descriptor(payload: bytes) -> Descriptor:
    """Parse the descriptor; raises MalformedError."""
    if not payload:
        raise MalformedError("an empty VP8 payload")
    first, at = payload[0], 1
    picture_at = level_at = None
    bits = picture = 0
    try:
        if first & 0x80:
            flags, at = payload[1], 2
            if flags & 0x80:
                picture_at = at
                bits = 15 if payload[at] & 0x80 else 7
                picture = (payload[at] & 0x7F) << 8 | payload[at + 1] if bits == 15 else payload[at] & 0x7F
                at += 2 if bits == 15 else 1
            if flags & 0x40:
                level_at = at
                at += 1
            if flags & 0x30:
                at += 1
    except IndexError as error:
        raise MalformedError("a VP8 descriptor is cut off") from error
    if at > len(payload):
        raise MalformedError("a VP8 descriptor is cut off")
    return Descriptor(at, bool(first & 0x10), first & 7, picture_at, bits, picture, level_at)


def starts_key_frame(payload: bytes) -> bool:
    """Tell whether a key frame begins here (first partition, P bit of the frame header clear)."""
    if not payload or payload[0] & 0x17 != 0x10:
        return False  # most packets: not the start of a frame's first partition
    try:
        head = descriptor(payload)
    except MalformedError:
        return False
    return len(payload) > head.length and not payload[head.length] & 1


def frame(payloads: list[bytes]) -> bytes:
    """Join the payloads of one frame; raises MalformedError."""
    out = bytearray()
    for payload in payloads:
        if payload:
            out += payload[descriptor(payload).length :]
        if len(out) > MAX_FRAME:
            raise MalformedError("the frame is too long")
    return bytes(out)


def shifted(payload: bytes, picture_step: int, level_step: int) -> bytes:
    """Return the payload with its picture id and TL0PICIDX moved on, as a leg needs after a switch of source."""
    if not picture_step and not level_step:
        return payload
    head = descriptor(payload)
    out = bytearray(payload)
    if head.picture_id_at is not None:
        moved = (head.picture_id + picture_step) & ((1 << head.picture_id_bits) - 1)
        if head.picture_id_bits == 15:
            out[head.picture_id_at] = 0x80 | moved >> 8
            out[head.picture_id_at + 1] = moved & 0xFF
        else:
            out[head.picture_id_at] = moved
    if head.level_at is not None:
        out[head.level_at] = (out[head.level_at] + level_step) & 0xFF
    return bytes(out)
