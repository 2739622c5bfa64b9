"""RTCP (RFC 3550 section 6, RFC 4585, RFC 5104, REMB, transport-wide feedback): parse compounds, build our own.

A compound is read packet by packet; an unknown type is skipped, a cut-off packet makes the whole one malformed.
"""

import struct
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules import transport_feedback
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.transport_feedback import TransportFeedback

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK_FORMAT, PLI_FORMAT, FIR_FORMAT, AFB_FORMAT = 1, 1, 4, 15
NTP_UNIX = 2208988800
"""Seconds between the NTP epoch (1900) and the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report block: what a receiver says of `ssrc`. `lost` is the 8-bit fraction, delay in 1/65536 s."""

    ssrc: int
    fraction_lost: int
    total_lost: int
    highest: int
    jitter: int
    last_sr: int
    delay: int


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """Sender report: `ntp` as 64-bit fixed point belongs to `timestamp`."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverInfo:
    """Receiver report."""

    ssrc: int
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers of `ssrc` that are missing (RFC 4585 section 6.2.1)."""

    ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyFrameAsked:
    """PLI or FIR: the viewer of `ssrc` needs a key frame."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """REMB: the receiver's estimate of its bandwidth in bits per second."""

    bitrate: int


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender of these SSRCs leaves."""

    ssrcs: tuple[int, ...]


Feedback = SenderInfo | ReceiverInfo | Nack | KeyFrameAsked | Estimate | Bye | TransportFeedback


def parse(data: bytes) -> list[Feedback]:
    """Parse a decrypted compound; raises MalformedError."""
    found: list[Feedback] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data) or data[at] >> 6 != 2:
            raise MalformedError("not an RTCP header")
        count, kind = data[at] & 31, data[at + 1]
        end = at + 4 + 4 * struct.unpack_from("!H", data, at + 2)[0]
        if end > len(data):
            raise MalformedError("an RTCP packet is cut off")
        body = data[at + 4 : end]
        if data[at] & 0x20:
            body = _without_padding(body)
        found.extend(_one(kind, count, body))
        at = end
    return found


def _without_padding(body: bytes) -> bytes:
    if not body or not 0 < body[-1] <= len(body):
        raise MalformedError("RTCP padding does not fit")
    return body[: -body[-1]]


def _one(kind: int, count: int, body: bytes) -> list[Feedback]:
    try:
        if kind == SR:
            ssrc, ntp, timestamp, packets, octets = struct.unpack_from("!IQIII", body)
            return [SenderInfo(ssrc, ntp, timestamp, packets, octets, _reports(body, 24, count))]
        if kind == RR:
            return [ReceiverInfo(struct.unpack_from("!I", body)[0], _reports(body, 4, count))]
        if kind == BYE:
            return [Bye(struct.unpack_from(f"!{count}I", body))]
        if kind == RTPFB:
            return _transport_layer(count, body)
        if kind == PSFB:
            return _payload_feedback(count, body)
    except struct.error as error:
        raise MalformedError("an RTCP packet is too short for its type") from error
    return []


def _reports(body: bytes, at: int, count: int) -> tuple[Report, ...]:
    found = []
    for index in range(count):
        ssrc, lost, highest, jitter, last_sr, delay = struct.unpack_from("!IIIIII", body, at + 24 * index)
        total = lost & 0xFFFFFF
        total -= (total & 0x800000) << 1
        found.append(Report(ssrc, lost >> 24, total, highest, jitter, last_sr, delay))
    return tuple(found)


def _transport_layer(form: int, body: bytes) -> list[Feedback]:
    if form == NACK_FORMAT:
        return [_nack(body)]
    return [transport_feedback.parse(body)] if form == transport_feedback.FORMAT else []


def _nack(body: bytes) -> Nack:
    _, ssrc = struct.unpack_from("!II", body)
    missing: list[int] = []
    for at in range(8, len(body) - 3, 4):
        first, mask = struct.unpack_from("!HH", body, at)
        missing.append(first)
        missing.extend((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
    return Nack(ssrc, tuple(missing))


def _payload_feedback(form: int, body: bytes) -> list[Feedback]:
    _, ssrc = struct.unpack_from("!II", body)
    if form == PLI_FORMAT:
        return [KeyFrameAsked(ssrc)]
    if form == FIR_FORMAT:
        return [KeyFrameAsked(struct.unpack_from("!I", body, at)[0]) for at in range(8, len(body) - 7, 8)]
    if form == AFB_FORMAT and body[8:12] == b"REMB":
        word = struct.unpack_from("!I", body, 12)[0]
        return [Estimate((word & 0x3FFFF) << (word >> 18 & 0x3F))]
    return []


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _report(report: Report) -> bytes:
    lost = report.fraction_lost << 24 | report.total_lost & 0xFFFFFF
    return struct.pack("!IIIIII", report.ssrc, lost, report.highest, report.jitter, report.last_sr, report.delay)


def sender_report(info: SenderInfo) -> bytes:
    """Build a sender report."""
    head = struct.pack("!IQIII", info.ssrc, info.ntp, info.timestamp & 0xFFFFFFFF, info.packets, info.octets)
    return _packet(SR, len(info.reports), head + b"".join(map(_report, info.reports)))


def receiver_report(info: ReceiverInfo) -> bytes:
    """Build a receiver report; every compound of a receiver begins with one (RFC 3550 section 6.1)."""
    return _packet(RR, len(info.reports), struct.pack("!I", info.ssrc) + b"".join(map(_report, info.reports)))


def source_description(ssrc: int, name: str) -> bytes:
    """Build SDES with CNAME, which a compound must carry."""
    text = name.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(text)) + text + b"\0"
    return _packet(SDES, 1, chunk + b"\0" * (-len(chunk) & 3))


def nack(own: int, ssrc: int, sequences: list[int]) -> bytes:
    """Build a NACK; the numbers must be in sending order."""
    pairs: list[list[int]] = []
    for sequence in sequences:
        if pairs and 0 < (step := (sequence - pairs[-1][0]) & 0xFFFF) <= 16:
            pairs[-1][1] |= 1 << step - 1
        else:
            pairs.append([sequence, 0])
    return _packet(RTPFB, NACK_FORMAT, struct.pack("!II", own, ssrc) + b"".join(struct.pack("!HH", *p) for p in pairs))


def picture_loss(own: int, ssrc: int) -> bytes:
    """Build a PLI (RFC 4585 section 6.3.1): please send a key frame."""
    return _packet(PSFB, PLI_FORMAT, struct.pack("!II", own, ssrc))


def full_intra_request(own: int, ssrc: int, number: int) -> bytes:
    """Build a FIR (RFC 5104 section 4.3.1); `number` grows with each new request."""
    return _packet(PSFB, FIR_FORMAT, struct.pack("!IIIBBH", own, 0, ssrc, number & 0xFF, 0, 0))


def estimate(own: int, ssrcs: list[int], bitrate: int) -> bytes:
    """Build a REMB (draft-alvestrand-rmcat-remb-03): what we take from the publisher, in bits per second."""
    exponent = max(0, bitrate.bit_length() - 18)
    word = len(ssrcs) << 24 | exponent << 18 | bitrate >> exponent
    body = struct.pack("!II4sI", own, 0, b"REMB", word) + b"".join(struct.pack("!I", ssrc) for ssrc in ssrcs)
    return _packet(PSFB, AFB_FORMAT, body)


def bye(ssrc: int) -> bytes:
    """Build a BYE."""
    return _packet(BYE, 1, struct.pack("!I", ssrc))


def ntp_time(unix_seconds: float) -> int:
    """Turn Unix seconds into the 64-bit NTP form of sender reports."""
    return int((unix_seconds + NTP_UNIX) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
