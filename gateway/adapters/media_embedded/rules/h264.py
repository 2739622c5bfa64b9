"""H.264 in RTP (RFC 6184, packetization-mode 1): where a key frame starts, and one access unit put together again."""

import struct
from collections.abc import Iterator

from gateway.adapters.media_embedded.rules.malformed import MalformedError

IDR, SPS, PPS, STAP_A, FU_A = 5, 7, 8, 24, 28
START_CODE = b"\0\0\0\1"
MAX_UNIT = 4 << 20
"""Longest access unit that is put together, in bytes."""


def nal_types(payload: bytes) -> list[int]:
    """Return the types of the NAL units that begin in this payload; empty for a continuation or rubbish."""
    if not payload:
        return []
    kind = payload[0] & 31
    if kind == FU_A:
        return [payload[1] & 31] if len(payload) > 1 and payload[1] & 0x80 else []
    if kind != STAP_A:
        return [kind]
    found, at = [], 1
    while at + 2 < len(payload):
        found.append(payload[at + 2] & 31)
        at += 2 + struct.unpack_from("!H", payload, at)[0]
    return found


def starts_key_frame(payload: bytes) -> bool:
    """Tell whether a key frame begins here: a parameter set or the first slice of an IDR picture."""
    if not payload:
        return False
    kind = payload[0] & 31
    if kind in {IDR, SPS}:
        return True
    if kind == FU_A:
        return len(payload) > 1 and payload[1] & 0x80 != 0 and payload[1] & 31 in {IDR, SPS}
    if kind == STAP_A:
        return any(unit in {IDR, SPS} for unit in nal_types(payload))
    return False


def annex_b(payloads: list[bytes]) -> bytes:
    """Join the payloads of one access unit to an Annex B byte stream; raises MalformedError on a gap in a NAL unit."""
    out = bytearray()
    open_unit = False
    for payload in payloads:
        if not payload:
            continue
        kind = payload[0] & 31
        if kind == FU_A:
            open_unit = _fragment(out, payload, open_unit=open_unit)
        elif kind == STAP_A:
            _aggregate(out, payload)
        elif 0 < kind < 24:
            out += START_CODE + payload
        else:
            raise MalformedError(f"NAL unit type {kind} is not in packetization-mode 1")
        if len(out) > MAX_UNIT:
            raise MalformedError("the access unit is too long")
    if open_unit:
        raise MalformedError("a NAL unit has no end")
    return bytes(out)


def _fragment(out: bytearray, payload: bytes, *, open_unit: bool) -> bool:
    if len(payload) < 2:
        raise MalformedError("a fragment without its header")
    if payload[1] & 0x80:
        out += START_CODE + bytes([payload[0] & 0xE0 | payload[1] & 31])
    elif not open_unit:
        raise MalformedError("a fragment without its start")
    out += payload[2:]
    return not payload[1] & 0x40


def _aggregate(out: bytearray, payload: bytes) -> None:
    at = 1
    while at < len(payload):
        if at + 2 > len(payload):
            raise MalformedError("an aggregate is cut off")
        size = struct.unpack_from("!H", payload, at)[0]
        if not size or at + 2 + size > len(payload):
            raise MalformedError("an aggregate is cut off")
        out += START_CODE + payload[at + 2 : at + 2 + size]
        at += 2 + size


def units(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an Annex B byte stream, without start codes."""
    for part in data.split(b"\0\0\1")[1:]:
        unit = part.rstrip(b"\0")  # trailing zeros belong to the next start code (H.264 section B.1)
        if unit:
            yield unit


def parameter_sets(data: bytes) -> bytes:
    """Return SPS and PPS of an Annex B byte stream in that form; empty where there are none."""
    return b"".join(START_CODE + unit for unit in units(data) if unit[0] & 31 in {SPS, PPS})
