"""Proves the media path in both directions: plays the own camera back from the gateway, and counts what comes.

What comes back went up by WHIP and down by WHEP, as RTP in both directions; signalling alone proves neither.
"""

import time
from typing import TYPE_CHECKING, Any

from edge_agent.media.peer import connect, new_peer, part, prefer
from protocols.aio.clock import Clock
from protocols.aio.whip import WhepClient
from protocols.command import MediaEcho, MediaEchoed

if TYPE_CHECKING:
    import ssl

    from aiortc import RTCPeerConnection

FIRST_S = 8.0
"""The picture must go up first, if nobody watches it yet."""
LOOK_S = 0.05


async def echo(asked: MediaEcho, clock: Clock, verify: "ssl.SSLContext | None" = None) -> MediaEchoed:
    """Count what comes back; no packet is a result, not an error. Raises LinkError, RefusedError, BadMediaError."""
    peer, client = new_peer(), WhepClient(asked.whep_url, asked.token, verify=verify)
    began, first = time.monotonic(), None
    packets = lost = 0
    try:
        prefer(peer.addTransceiver("video", direction="recvonly"), "video", "video/H264", "video/VP8")
        await connect(peer, client)
        while time.monotonic() - (first or began) < (FIRST_S if first is None else asked.seconds):
            await clock.sleep(LOOK_S)
            packets, lost = await _counted(peer)
            first = first or (time.monotonic() if packets else None)
    finally:
        await part(peer, client)
    first_ms = None if first is None else round((first - began) * 1000)
    return MediaEchoed(packets=packets, lost=max(0, lost), first_ms=first_ms)


async def _counted(peer: "RTCPeerConnection") -> tuple[int, int]:
    packets = lost = 0
    for receiver in peer.getReceivers():
        stats: dict[str, Any] = await receiver.getStats()
        for one in stats.values():
            if one.type == "inbound-rtp":
                packets, lost = packets + one.packetsReceived, lost + one.packetsLost
    return packets, lost
