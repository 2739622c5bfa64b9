"""Tracks of coded packets: aiortc sends them without encoding."""

import asyncio
import time
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from typing_extensions import override

from edge_agent.cameras.feed import Subscription

VIDEO_BASE = Fraction(1, 90_000)
AUDIO_BASE = Fraction(1, 48_000)
_OLD_S = 0.25
_BURST_STEP_S = 0.002


class FeedTrack(MediaStreamTrack):
    """Reads one subscription of a feed until it is closed. `sent` counts packets, `keys` key frames."""

    def __init__(self, kind: str, subscription: Subscription) -> None:
        self.kind = kind
        super().__init__()
        self._subscription = subscription
        self._base = VIDEO_BASE if kind == "video" else AUDIO_BASE
        self.sent = 0
        self.keys = 0

    @override
    async def recv(self) -> "av.Packet[Any]":
        """Return the next coded packet; raises MediaStreamError at the end, as aiortc expects."""
        unit = await self._subscription.next()
        if unit is None or self.readyState != "live":
            raise MediaStreamError
        if time.monotonic() - unit.arrived > _OLD_S:
            await asyncio.sleep(_BURST_STEP_S)  # the kept group goes out fast, but not as one burst
        packet = av.Packet(unit.data)
        packet.pts, packet.time_base = unit.pts, self._base
        self.sent += 1
        self.keys += unit.key
        return packet

    @override
    def stop(self) -> None:
        """End the track and leave the feed."""
        self._subscription.close()
        super().stop()
