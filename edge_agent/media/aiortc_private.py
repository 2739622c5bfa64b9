# ruff: noqa: SLF001 - private names are what this file is for
"""Every private or patched name of aiortc and aioice that this project uses in the agent, in one place.

Guarded by a contract test; `aiortc==1.16.*` is pinned for this. What it closes:

- A key-frame request (PLI, FIR) only sets a flag for aiortc's own encoder: with coded packets it would be lost.
- Coded sound carries no loudness: it is put on here.
- A dead peer is noticed after 30 s: reports (RTCP) show it within seconds, consent checks within about ten.
- A missing packet is asked for only when another gap is seen: on a thin stream one lost repeat hides the picture for
  as long as 512 packets take. It is asked for until it comes.
- aioice never offers 127.0.0.1: it is offered, and then alone, to a gateway that is reached over loopback.
- A packet costs aiortc an object, a header extension built anew and five calls: a coded frame goes out at once here.
"""

import asyncio
import contextlib
import logging
import struct
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import aioice.ice
from aiortc import RTCRtpReceiver, RTCRtpSender, clock, rtp
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import State
from aiortc.utils import random16, random32

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
CONSENT_INTERVAL_S = 2.5
CONSENT_FAILURES = 4
ASK_AGAIN_S = 0.2
_loopback_only: ContextVar[bool] = ContextVar("loopback_only", default=False)
_real_addresses: Callable[..., list[str]] = aioice.ice.get_host_addresses


def _addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - aioice's signature
    if _loopback_only.get():
        return [LOOPBACK]
    return _real_addresses(use_ipv4=use_ipv4, use_ipv6=use_ipv6)


def install() -> None:
    """Put our list of addresses and shorter consent checks into aioice; calling it again changes nothing."""
    ice: Any = aioice.ice
    ice.get_host_addresses = _addresses
    ice.CONSENT_INTERVAL = CONSENT_INTERVAL_S
    ice.CONSENT_FAILURES = CONSENT_FAILURES


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine's loopback."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


@contextlib.contextmanager
def addresses_for(url: str) -> Iterator[None]:
    """Offer loopback alone to a peer behind a loopback URL while candidates are gathered inside this context."""
    token = _loopback_only.set(is_loopback(url))
    try:
        yield
    finally:
        _loopback_only.reset(token)


async def ask_again(receiver: RTCRtpReceiver) -> None:
    """Ask for what is missing every `ASK_AGAIN_S` until it comes; run it beside the track's reading and cancel it."""
    private: Any = receiver
    ask, asked = private._send_rtcp_nack, 0

    async def remembered(ssrc: int, lost: list[int]) -> None:
        nonlocal asked
        asked = ssrc
        await ask(ssrc, lost)

    private._send_rtcp_nack = remembered
    while True:
        await asyncio.sleep(ASK_AGAIN_S)
        missing = private._RTCRtpReceiver__nack_generator.missing
        if missing:
            await ask(asked, sorted(missing))


class SenderWatch:
    """Listens to what comes back for one sender: key-frame requests, reports, estimates.

    `heard_at` is monotonic seconds. `on_report` is given each report's share of lost packets and the round trip in
    seconds where it can be told, `on_estimate` what the far end says the line carries (REMB, bit/s; it may name several
    senders, each is told).
    """

    def __init__(
        self,
        sender: RTCRtpSender,
        on_key_frame: Callable[[], None] | None = None,
        on_report: Callable[[float, float | None], None] | None = None,
        on_estimate: Callable[[int], None] | None = None,
    ) -> None:
        self.heard_at: float | None = None
        self.reports = 0
        self._on_report = on_report
        self._on_estimate = on_estimate
        private: Any = sender
        self._ssrc: int = private._ssrc
        self._sender = private
        handle = private._handle_rtcp_packet

        async def watched(packet: Any) -> None:
            self.heard_at = time.monotonic()
            self.reports += 1
            self._read(packet)
            await handle(packet)

        private._handle_rtcp_packet = watched
        if on_key_frame is not None:
            private._send_keyframe = on_key_frame

    def _read(self, packet: Any) -> None:
        if isinstance(packet, (rtp.RtcpRrPacket, rtp.RtcpSrPacket)) and self._on_report:
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    self._on_report(report.fraction_lost / 256, self._round_trip(report))
        elif isinstance(packet, rtp.RtcpPsfbPacket) and packet.fmt == rtp.RTCP_PSFB_APP and self._on_estimate:
            with contextlib.suppress(ValueError):  # another application's message
                rate, ssrcs = rtp.unpack_remb_fci(packet.fci)
                if self._ssrc in ssrcs:
                    self._on_estimate(rate)

    def _round_trip(self, report: Any) -> float | None:
        """Return the round trip of the newest sender report (RFC 3550 section 6.4.1), None where it was older."""
        sent_at = self._sender._RTCRtpSender__lsr_time
        if sent_at is None or not report.dlsr or report.lsr != self._sender._RTCRtpSender__lsr:
            return None
        passed = time.time() - float(sent_at) - float(report.dlsr) / 65536
        return passed if passed > 0 else None  # an idle sender repeats its stamp: the answer was to an older report


def tell_levels(sender: RTCRtpSender, level: Callable[[], int | None]) -> None:
    """Put `level()` of the sound just read (dBov, -127 to 0) on its packets, as RFC 6464 has it.

    aiortc does so by itself for raw sound only.
    """
    private: Any = sender
    encoded = private._next_encoded_frame

    async def with_level(codec: Any) -> Any:
        frame = await encoded(codec)
        if frame is not None and frame.audio_level is None:
            frame.audio_level = level()
        return frame

    private._next_encoded_frame = with_level


_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_VERSION_2, _HAS_EXTENSION, _MARKER = 0x80, 0x10, 0x80
_LOWER_HALF = 0x8000
"""Sequence numbers begin there, as aiortc has it: an early wrap loses the cipher (RFC 3711 section 3.3.1)."""
_KEPT = 128
"""Packets kept for retransmission, as many as aiortc keeps."""


class _Kept:
    """What was sent last, as aiortc's `_retransmit` looks it up; a packet becomes an object only when it is asked for.

    Bounded: each packet takes the place of the one `_KEPT` before it.
    """

    def __init__(self) -> None:
        self._sent: dict[int, tuple[int, int, int, int, int, bytes, Any]] = {}

    def put(self, sent: tuple[int, int, int, int, int, bytes, Any]) -> None:
        self._sent[sent[1] % _KEPT] = sent

    def get(self, place: int) -> rtp.RtpPacket | None:
        found = self._sent.get(place)
        if found is None:
            return None
        payload_type, number, timestamp, ssrc, marker, payload, extensions = found
        packet = rtp.RtpPacket(payload_type, marker, number, timestamp, ssrc, payload)
        packet.extensions = extensions
        return packet


def send_by_frame(sender: RTCRtpSender) -> None:
    """Let a sender of coded pictures or sound write each frame's packets at once; call it before anything connects.

    What goes over the line is what aiortc would send, but for the absolute send time, which is one for all packets of a
    frame: they leave together. Reports, retransmission, statistics and the end of the track stay aiortc's.
    """
    private: Any = sender

    async def run(codec: Any) -> None:
        private._RTCRtpSender__rtp_started.set()
        number, origin = random16() % _LOWER_HALF, random32()
        try:
            while True:
                if private._RTCRtpSender__track is None:
                    await asyncio.sleep(0.02)
                    continue
                frame = await private._next_encoded_frame(codec)
                if frame is not None:
                    number = _send_frame(private, codec.payloadType, frame, number, origin)
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass  # as aiortc ends: the sender's `stop` waits for the event below
        except Exception:
            logger.exception("sender ended", extra={"ssrc": private._ssrc})
        if private._RTCRtpSender__track is not None:
            private._RTCRtpSender__track.stop()
            private._RTCRtpSender__track = None
        private._RTCRtpSender__encoder = None
        private._RTCRtpSender__rtp_exited.set()

    private._RTCRtpSender__rtp_history = _Kept()
    private._run_rtp = run


def _send_frame(private: Any, payload_type: int, frame: Any, number: int, origin: int) -> int:
    """Send one coded frame and return the next sequence number. Raises ConnectionError where no way is open."""
    dtls = private.transport
    pair = dtls.transport._connection._nominated.get(1)
    if dtls._state is not State.CONNECTED or pair is None:
        raise ConnectionError("not connected")
    protect, write, to = dtls._tx_srtp.protect, pair.protocol.transport.sendto, pair.remote_addr
    kept, ssrc = private._RTCRtpSender__rtp_history, private._ssrc
    timestamp, sent_at = (origin + frame.timestamp) & 0xFFFFFFFF, clock.current_ntp_time()
    extensions, block = _extensions(private, sent_at, frame.audio_level)
    first = _VERSION_2 | (_HAS_EXTENSION if block else 0)
    last, octets = len(frame.payloads) - 1, 0
    for place, payload in enumerate(frame.payloads):
        marker = place == last
        head = _HEADER.pack(first, payload_type | (_MARKER if marker else 0), number, timestamp, ssrc)
        kept.put((payload_type, number, timestamp, ssrc, int(marker), payload, extensions))
        data = protect(head + block + payload)
        write(data, to)
        octets += len(data)
        number = (number + 1) & 0xFFFF
    dtls._RTCDtlsTransport__tx_bytes += octets
    dtls._RTCDtlsTransport__tx_packets += last + 1
    private._RTCRtpSender__ntp_timestamp, private._RTCRtpSender__rtp_timestamp = sent_at, timestamp
    private._RTCRtpSender__octet_count += sum(map(len, frame.payloads))
    private._RTCRtpSender__packet_count += last + 1
    return number


def _extensions(private: Any, sent_at: int, level: int | None) -> tuple[Any, bytes]:
    """Return the header extensions of a frame (RFC 8285), as aiortc's object and as bytes behind the fixed header."""
    extensions = rtp.HeaderExtensions()
    extensions.abs_send_time = (sent_at >> 14) & 0x00FFFFFF
    extensions.mid = private._RTCRtpSender__mid
    if level is not None:
        extensions.audio_level = (False, -level)
    profile, value = private._RTCRtpSender__rtp_header_extensions_map.set(extensions)
    return extensions, _EXTENSION.pack(profile, len(value) >> 2) + value if value else b""
