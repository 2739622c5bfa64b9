"""Teaches aiortc to publish VP9, AV1 and H.265, packed by the rules of each for RTP; ICE, DTLS, SRTP stay aiortc's."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import count

import av
from aiortc import rtcrtpsender
from aiortc.codecs import CODECS
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters

from tests.support import h265

PAYLOAD = 1150
_PICTURES = count(120)


def vp9_packets(frames: list[bytes], *, key: bool, size: tuple[int, int] = (480, 270), picture: int = 7) -> list[bytes]:
    """Return the RTP payloads of one picture, `frames` from its lowest layer up (RFC 9628 section 4.2)."""
    found = []
    number = (0x8000 | picture & 0x7FFF).to_bytes(2, "big")
    sizes = b"".join(side.to_bytes(2, "big") for side in size)
    structure = bytes([(len(frames) - 1) << 5 | 0x18]) + sizes * len(frames) + bytes([1, 0x04, 1])
    for layer, frame in enumerate(frames):
        for at in range(0, len(frame), PAYLOAD):
            first, last = at == 0, at + PAYLOAD >= len(frame)
            told = key and first and not layer
            head = 0x80 | 0x40 * (not key) | 0x20 * (len(frames) > 1) | 0x08 * first | 0x04 * last | 0x02 * told
            layers = bytes([layer << 1 | (layer > 0), 9]) if len(frames) > 1 else b""
            found.append(bytes([head]) + number + layers + structure * told + frame[at : at + PAYLOAD])
    return found


def leb128(value: int) -> bytes:
    """Return a number as AV1 writes it (section 4.10.5)."""
    out = []
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def unsized(unit: bytes) -> list[bytes]:
    """Return the OBUs of a temporal unit without their sizes and without temporal delimiters."""
    found, at = [], 0
    while at < len(unit):
        head = unit[at : at + (2 if unit[at] & 4 else 1)]
        at += len(head)
        size = shift = 0
        while True:
            size |= (unit[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not unit[at - 1] & 0x80:
                break
        if head[0] >> 3 & 15 != 2:
            found.append(bytes([head[0] & ~2]) + head[1:] + unit[at : at + size])
        at += size
    return found


def av1_payloads(obus: list[bytes], *, key: bool, room: int = PAYLOAD, counted: bool = True) -> list[bytes]:
    """Return the RTP payloads of OBUs (AV1 RTP section 4.4), filled up to `room`, so that OBUs go on in the next one.

    `counted`: the header tells how many elements there are, up to three; else each has its length.
    """
    found: list[bytes] = []
    parts: list[bytes] = []
    left, goes_on = room, False

    def close(*, further: bool) -> None:
        nonlocal parts, left, goes_on
        told = len(parts) if counted and len(parts) <= 3 else 0
        head = 0x80 * goes_on | 0x40 * further | told << 4 | 0x08 * (key and not found)
        body = b"".join(leb128(len(part)) + part for part in parts[:-1])
        body += parts[-1] if told else leb128(len(parts[-1])) + parts[-1]
        found.append(bytes([head]) + body)
        parts, left, goes_on = [], room, further

    for obu in obus:
        at = 0
        while at < len(obu):
            parts.append(obu[at : at + left])
            at += len(parts[-1])
            left -= len(parts[-1])
            if not left:
                close(further=at < len(obu))
    if parts:
        close(further=False)
    return found


def _vp9(packet: av.Packet) -> list[bytes]:
    return vp9_packets([bytes(packet)], key=packet.is_keyframe, picture=next(_PICTURES))


def _av1(packet: av.Packet) -> list[bytes]:
    return av1_payloads(unsized(bytes(packet)), key=packet.is_keyframe)


def _h265(packet: av.Packet) -> list[bytes]:
    return h265.packets(bytes(packet))


PACKERS: dict[str, Callable[[av.Packet], list[bytes]]] = {"VP9": _vp9, "AV1": _av1, "H265": _h265}
_NUMBERS = {"VP9": (121, 122, {"profile-id": "0"}), "AV1": (123, 124, {"profile": "0"})}
_NUMBERS["H265"] = 125, 126, {"profile-id": "1"}


class _Packer:
    """Packs what was coded already; aiortc asks it for nothing else."""

    target_bitrate = 0

    def __init__(self, name: str) -> None:
        self._packets = PACKERS[name]

    def pack(self, packet: av.Packet) -> tuple[list[bytes], int]:
        return self._packets(packet), convert_timebase(packet.pts, packet.time_base, VIDEO_TIME_BASE)


@contextlib.contextmanager
def taught() -> Iterator[None]:
    """Let every peer connection that is made inside offer these codecs, to send them."""
    feedback = [RTCRtcpFeedback("nack"), RTCRtcpFeedback("nack", "pli")]
    known, made = list(CODECS["video"]), rtcrtpsender.get_encoder
    for name, (number, repair, told) in _NUMBERS.items():
        codec = RTCRtpCodecParameters(f"video/{name}", 90000, None, number, feedback, dict(told))
        CODECS["video"] += [codec, RTCRtpCodecParameters("video/rtx", 90000, None, repair, [], {"apt": number})]

    def encoder(codec: RTCRtpCodecParameters) -> object:
        name = codec.mimeType.partition("/")[2].upper()
        return _Packer(name) if name in PACKERS else made(codec)

    rtcrtpsender.get_encoder = encoder
    try:
        yield
    finally:
        CODECS["video"][:] = known
        rtcrtpsender.get_encoder = made
