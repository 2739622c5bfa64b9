"""AV1 in RTP (AOM, "RTP Payload Format For AV1" version 1.0): one temporal unit put together, and what is in it."""

from collections.abc import Iterator

from gateway.adapters.media_embedded.rules.malformed import MalformedError

SEQUENCE_HEADER, TEMPORAL_DELIMITER, TILE_LIST = 1, 2, 8
MAX_UNIT = 4 << 20
"""Longest temporal unit that is put together, in bytes."""
_GOES_ON, _GOES_FURTHER = 0x80, 0x40
_EXTENDED, _SIZED = 0x04, 0x02
_LONGEST_NUMBER = 5


def temporal_unit(payloads: list[bytes]) -> bytes:
    """Join the RTP payloads of one temporal unit to OBUs that tell their size (AV1 section 5.2).

    Temporal delimiters and tile lists are left out: they are not for RTP (section 5), and no container wants them.
    Raises MalformedError on a gap in an OBU and on what is longer than `MAX_UNIT`.
    """
    out = bytearray()
    kept: bytearray | None = None
    for payload in payloads:
        if not payload:
            continue
        if bool(payload[0] & _GOES_ON) != (kept is not None):
            raise MalformedError("an OBU has no end" if kept is not None else "an OBU without its beginning")
        parts = _elements(payload)
        for place, part in enumerate(parts, 1):
            kept = bytearray() if kept is None else kept
            kept += part
            if len(out) + len(kept) > MAX_UNIT:
                raise MalformedError("the temporal unit is too long")
            if place < len(parts) or not payload[0] & _GOES_FURTHER:
                _append(out, bytes(kept))
                kept = None
    if kept is not None:
        raise MalformedError("an OBU has no end")
    return bytes(out)


def _elements(payload: bytes) -> list[bytes]:
    """Cut one payload (section 4.4): where the header counts the elements, the last one has no length."""
    count, at = payload[0] >> 4 & 3, 1
    found: list[bytes] = []
    while at < len(payload):
        if len(found) + 1 == count:
            found.append(payload[at:])
            return found
        size, at = _number(payload, at)
        if not size or at + size > len(payload):
            raise MalformedError("an OBU element is cut off")
        found.append(payload[at : at + size])
        at += size
    if count or not found:
        raise MalformedError("fewer OBU elements than are told")
    return found


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a number (leb128, AV1 section 4.10.5); returns it and the place behind it."""
    value = 0
    for place, octet in enumerate(data[at : at + _LONGEST_NUMBER]):
        value |= (octet & 0x7F) << 7 * place
        if not octet & 0x80:
            return value, at + place + 1
    raise MalformedError("a number is cut off or too long")


def _written(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _append(out: bytearray, obu: bytes) -> None:
    """Put an OBU down with its size, whether it came with it or without."""
    head = obu[0]
    begin = 2 if head & _EXTENDED else 1
    if head & 0x80 or len(obu) < begin:
        raise MalformedError("not the header of an OBU")
    body = obu[begin:]
    if head & _SIZED:
        size, at = _number(body, 0)
        if at + size != len(body):
            raise MalformedError("an OBU of another size than it tells")
        body = body[at:]
    if head >> 3 & 15 not in {TEMPORAL_DELIMITER, TILE_LIST}:
        out += bytes([head | _SIZED]) + obu[1:begin] + _written(len(body)) + body


def obus(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield type, payload and all bytes of each OBU of a temporal unit; raises MalformedError."""
    at = 0
    while at < len(data):
        head = data[at]
        body = at + (2 if head & _EXTENDED else 1)
        if not head & _SIZED:
            raise MalformedError("an OBU that tells no size")
        size, body = _number(data, body)
        if body + size > len(data):
            raise MalformedError("an OBU is cut off")
        yield head >> 3 & 15, data[body : body + size], data[at : body + size]
        at = body + size


def sequence_header(data: bytes) -> bytes:
    """Return the first sequence header OBU of a temporal unit, header and size included; empty where none is there."""
    return next((whole for kind, _, whole in obus(data) if kind == SEQUENCE_HEADER), b"")


def is_key(data: bytes) -> bool:
    """Tell whether decoding can begin at a temporal unit: a coded video sequence begins with its header."""
    return bool(sequence_header(data))
