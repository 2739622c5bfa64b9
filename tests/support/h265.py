"""Teaches aiortc H.265, which it does not know: RFC 7798 in both directions, coded and decoded by FFmpeg's own.

ICE, DTLS, SRTP, RTCP and the jitter buffer stay aiortc's.
"""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from aiortc import rtcrtpreceiver, rtcrtpsender
from aiortc.codecs import CODECS
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters

PAYLOAD = 1150
AGGREGATE, FRAGMENT = 48, 49
_NUMBERS = 125, 126


def units(stream: bytes) -> list[bytes]:
    """Split Annex B into NAL units."""
    parts = stream.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [part for part in parts if part]


def packets(stream: bytes) -> list[bytes]:
    """Return the RTP payloads of one access unit (RFC 7798 section 4.4): sets together, large units in parts."""
    payloads: list[bytes] = []
    sets = [unit for unit in units(stream) if 32 <= unit[0] >> 1 & 0x3F <= 34]
    if len(sets) > 1:
        joined = b"".join(len(unit).to_bytes(2, "big") + unit for unit in sets)
        payloads.append(bytes([AGGREGATE << 1, 1]) + joined)
    for unit in units(stream):
        if len(sets) > 1 and unit in sets:
            continue
        if len(unit) <= PAYLOAD:
            payloads.append(unit)
            continue
        head, kind, body = bytes([unit[0] & 0x81 | FRAGMENT << 1, unit[1]]), unit[0] >> 1 & 0x3F, unit[2:]
        for at in range(0, len(body), PAYLOAD):
            first, last = 0x80 * (at == 0), 0x40 * (at + PAYLOAD >= len(body))
            payloads.append(head + bytes([first | last | kind]) + body[at : at + PAYLOAD])
    return payloads


def annex_b(payload: bytes) -> bytes:
    """Return what one payload holds, as Annex B: a unit's first fragment begins it, the others go on."""
    kind = payload[0] >> 1 & 0x3F
    if kind == FRAGMENT:
        begun = bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]]) if payload[2] & 0x80 else b""
        return (b"\x00\x00\x00\x01" if begun else b"") + begun + payload[3:]
    if kind != AGGREGATE:
        return b"\x00\x00\x00\x01" + payload
    found, at = b"", 2
    while at + 2 <= len(payload):
        length = int.from_bytes(payload[at : at + 2], "big")
        found += b"\x00\x00\x00\x01" + payload[at + 2 : at + 2 + length]
        at += 2 + length
    return found


class Encoder:
    """Packs what was coded already; aiortc asks it for nothing else."""

    target_bitrate = 0

    def pack(self, packet: av.Packet) -> tuple[list[bytes], int]:
        return packets(bytes(packet)), convert_timebase(packet.pts, packet.time_base, VIDEO_TIME_BASE)


class Decoder:
    """FFmpeg's decoder; damaged pictures give nothing."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("hevc", "r")
        self._codec.thread_count = 1

    def decode(self, frame: Any) -> list[av.VideoFrame]:
        packet = av.Packet(frame.data)
        packet.pts, packet.time_base = frame.timestamp, Fraction(1, 90000)
        try:
            return list(self._codec.decode(packet))
        except av.error.InvalidDataError:
            return []


@contextlib.contextmanager
def taught() -> Iterator[None]:
    """Let every peer connection that is made inside offer and understand H.265."""
    number, repair = _NUMBERS
    feedback = [RTCRtcpFeedback("nack"), RTCRtcpFeedback("nack", "pli")]
    codec = RTCRtpCodecParameters("video/H265", 90000, None, number, feedback, {"profile-id": "1"})
    known = list(CODECS["video"])
    CODECS["video"] += [codec, RTCRtpCodecParameters("video/rtx", 90000, None, repair, [], {"apt": number})]
    made, read, taken = rtcrtpsender.get_encoder, rtcrtpreceiver.get_decoder, rtcrtpreceiver.depayload

    def ours(one: RTCRtpCodecParameters) -> bool:
        return one.mimeType.lower() == "video/h265"

    rtcrtpsender.get_encoder = lambda one: Encoder() if ours(one) else made(one)
    rtcrtpreceiver.get_decoder = lambda one: Decoder() if ours(one) else read(one)
    rtcrtpreceiver.depayload = lambda one, payload: annex_b(payload) if ours(one) else taken(one, payload)
    try:
        yield
    finally:
        CODECS["video"][:] = known
        rtcrtpsender.get_encoder, rtcrtpreceiver.get_decoder, rtcrtpreceiver.depayload = made, read, taken
