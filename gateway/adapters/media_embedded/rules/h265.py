"""H.265 in RTP (RFC 7798, without decoding order numbers): one access unit put together again, and what is in it."""

from collections.abc import Iterator

from gateway.adapters.media_embedded.rules import h264
from gateway.adapters.media_embedded.rules.malformed import MalformedError

VPS, SPS, PPS = 32, 33, 34
AGGREGATE, FRAGMENT = 48, 49
START_CODE = h264.START_CODE
MAX_UNIT = 4 << 20
"""Longest access unit that is put together, in bytes."""
_JOINABLE = range(16, 24)
"""Pictures that decoding can begin at (IRAP, H.265 table 7-1)."""


def unit_type(unit: bytes) -> int:
    """Return the type of a NAL unit, or of an RTP payload, by its first byte (H.265 section 7.3.1.2)."""
    return unit[0] >> 1 & 0x3F


def nal_types(payload: bytes) -> list[int]:
    """Return the types of the NAL units that begin in this RTP payload; empty for a continuation or rubbish."""
    if len(payload) < 3:
        return []
    kind = unit_type(payload)
    if kind == FRAGMENT:
        return [payload[2] & 0x3F] if payload[2] & 0x80 else []
    if kind != AGGREGATE:
        return [kind]
    found, at = [], 2
    while at + 2 < len(payload):
        found.append(payload[at + 2] >> 1 & 0x3F)
        at += 2 + int.from_bytes(payload[at : at + 2], "big")
    return found


def annex_b(payloads: list[bytes]) -> bytes:
    """Join the RTP payloads of one access unit to an Annex B byte stream (RFC 7798 section 4.4).

    Raises MalformedError on a gap in a NAL unit, on PACI packets and on what is longer than `MAX_UNIT`.
    """
    out = bytearray()
    open_unit = False
    for payload in payloads:
        if not payload:
            continue
        if len(payload) < 3:
            raise MalformedError("a payload without a NAL unit")
        kind = unit_type(payload)
        if kind == FRAGMENT:
            open_unit = _fragment(out, payload, open_unit=open_unit)
        elif open_unit:
            raise MalformedError("a NAL unit has no end")
        elif kind == AGGREGATE:
            _aggregate(out, payload)
        elif kind < AGGREGATE:
            out += START_CODE + payload
        else:
            raise MalformedError(f"payload type {kind} is not one that was agreed on")
        if len(out) > MAX_UNIT:
            raise MalformedError("the access unit is too long")
    if open_unit:
        raise MalformedError("a NAL unit has no end")
    return bytes(out)


def _fragment(out: bytearray, payload: bytes, *, open_unit: bool) -> bool:
    begins = bool(payload[2] & 0x80)
    if begins == open_unit:
        raise MalformedError("a fragment without its start" if not begins else "a NAL unit has no end")
    if begins:
        out += START_CODE + bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]])
    out += payload[3:]
    return not payload[2] & 0x40


def _aggregate(out: bytearray, payload: bytes) -> None:
    at = 2
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        if size < 2 or at + 2 + size > len(payload):
            raise MalformedError("an aggregate is cut off")
        out += START_CODE + payload[at + 2 : at + 2 + size]
        at += 2 + size


def units(data: bytes) -> Iterator[bytes]:
    """Return the NAL units of an Annex B byte stream, without start codes; those without a header are passed over."""
    return (unit for unit in h264.units(data) if len(unit) >= 2)


def parameter_sets(data: bytes) -> bytes:
    """Return VPS, SPS and PPS of an Annex B byte stream in that form; empty where one of the three kinds is missing."""
    sets = [unit for unit in units(data) if unit_type(unit) in {VPS, SPS, PPS}]
    if {unit_type(unit) for unit in sets} != {VPS, SPS, PPS}:
        return b""
    return b"".join(START_CODE + unit for unit in sets)


def is_key(data: bytes) -> bool:
    """Tell whether an access unit in Annex B holds a picture that decoding can begin at."""
    return any(unit_type(unit) in _JOINABLE for unit in units(data))
