# ruff: noqa: SLF001 - private names are what this file is for
"""Every private or patched name of aiortc and aioice that this project uses in the agent, in one place.

Guarded by a contract test; `aiortc==1.16.*` is pinned for this. What it closes:

- A key-frame request (PLI, FIR) only sets a flag for aiortc's own encoder: with coded packets it would be lost.
- A dead peer is noticed after 30 s: reports (RTCP) show it within seconds, consent checks within about ten.
- aioice never offers 127.0.0.1: it is offered, and then alone, to a gateway that is reached over loopback.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import aioice.ice
from aiortc import RTCRtpSender

LOOPBACK = "127.0.0.1"
CONSENT_INTERVAL_S = 2.5
CONSENT_FAILURES = 4
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


class SenderWatch:
    """Listens to what comes back for one sender: key-frame requests and reports. `heard_at` is monotonic seconds."""

    def __init__(self, sender: RTCRtpSender, on_key_frame: Callable[[], None] | None = None) -> None:
        self.heard_at: float | None = None
        self.reports = 0
        private: Any = sender
        handle = private._handle_rtcp_packet

        async def watched(packet: Any) -> None:
            self.heard_at = time.monotonic()
            self.reports += 1
            await handle(packet)

        private._handle_rtcp_packet = watched
        if on_key_frame is not None:
            private._send_keyframe = on_key_frame
