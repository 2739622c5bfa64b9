"""Tracks of coded packets: aiortc sends them without encoding."""

import asyncio
import time
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from typing_extensions import override

from edge_agent.cameras.feed import Feed, Subscription

VIDEO_BASE = Fraction(1, 90_000)
AUDIO_BASE = Fraction(1, 48_000)
_OLD_S = 0.25
_BURST_STEP_S = 0.002
_BURST_TICKS = 90
"""What was sent before is sent again 1 ms apart: receivers drop what goes back in time."""


class FeedTrack(MediaStreamTrack):
    """Reads a feed while it is switched on; a switched-on track begins with a key frame.

    `sent` counts packets, `keys` key frames, `octets` their bytes; `level` is the newest sound's loudness in dBov.
    """

    def __init__(self, kind: str, feed: Feed, *, on: bool) -> None:
        self.kind = kind
        super().__init__()
        self._feed = feed
        self._base = VIDEO_BASE if kind == "video" else AUDIO_BASE
        self._subscription: Subscription | None = None
        self._switched = asyncio.Event()
        self._newest: int | None = None
        self.sent = 0
        self.keys = 0
        self.octets = 0
        self.level: int | None = None
        if on:
            self.switch(on=True)

    @property
    def reading(self) -> bool:
        """Whether the feed is read."""
        return self._subscription is not None

    def switch(self, *, on: bool) -> None:
        """Begin or cease to read; the track itself lives on. An ended track stays off."""
        if on == self.reading or self.readyState != "live":
            return
        if self._subscription is not None:
            former, self._subscription = self._subscription, None
            former.close()
        else:
            self._subscription = self._feed.subscribe()
        self._switched.set()

    @override
    async def recv(self) -> "av.Packet[Any]":
        """Return the next coded packet, waiting while switched off; raises MediaStreamError at the end."""
        while self.readyState == "live":
            if self._subscription is None:
                self._switched.clear()
                await self._switched.wait()
                continue
            unit = await self._subscription.next()
            if unit is None:
                continue
            if time.monotonic() - unit.arrived > _OLD_S:
                await asyncio.sleep(_BURST_STEP_S)  # the kept group goes out fast, but not as one burst
            packet = av.Packet(unit.data)
            packet.pts, packet.time_base = self._stamp(unit.pts), self._base
            self.sent += 1
            self.keys += unit.key
            self.octets += len(unit.data)
            self.level = unit.level
            return packet
        raise MediaStreamError

    def _stamp(self, pts: int) -> int:
        if self.kind == "video" and self._newest is not None and pts <= self._newest:
            pts = self._newest + _BURST_TICKS
        self._newest = pts
        return pts

    @override
    def stop(self) -> None:
        """End the track and leave the feed."""
        self.switch(on=False)
        super().stop()
        self._switched.set()
