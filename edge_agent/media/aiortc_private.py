# ruff: noqa: SLF001 - private names are what this file is for
"""Every private or patched name of aiortc and aioice that this project uses in the agent, in one place.

Guarded by a contract test; `aiortc==1.16.*` is pinned for this. What it closes:

- A key-frame request (PLI, FIR) only sets a flag for aiortc's own encoder: with coded packets it would be lost.
- Coded sound carries no loudness: it is put on here.
- A dead peer is noticed after 30 s: reports (RTCP) show it within seconds, consent checks within about ten.
- A missing packet is asked for only when another gap is seen: on a thin stream one lost repeat hides the picture for
  as long as 512 packets take. It is asked for until it comes.
- aioice never offers 127.0.0.1: it is offered, and then alone, to a gateway that is reached over loopback.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import aioice.ice
from aiortc import RTCRtpReceiver, RTCRtpSender, rtp

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
