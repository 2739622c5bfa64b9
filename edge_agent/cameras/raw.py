"""Raw sources: pictures are sampled once a second always and encoded only while somebody publishes them."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from edge_agent.cameras.sampling import sample_of
from edge_agent.cameras.source import Camera
from edge_agent.settings import CameraSettings
from protocols.aio.h264 import CLOCK, Encoder
from protocols.health import CameraHealth, Verdict
from protocols.picture import PictureJudge, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[Any]
    Grab = Callable[[], Picture]

SAMPLE_S = 1.0
_KEY_REQUEST_S = 0.3
"""Key frames are given at most this often on request: each costs ten delta frames."""


class RawCamera(Camera):
    """Drives one raw source: `grabs` yields a way to get each picture at its time; most are never taken while idle."""

    def __init__(self, settings: CameraSettings, centre: str) -> None:
        super().__init__(settings, centre)
        self.judge = PictureJudge()
        self._sampled = asyncio.Event()
        self._sample_at: float = 0.0
        self._newest: float | None = None
        self._encoder: Encoder | None = None
        self._kept: Picture | None = None
        self._key_at = 0.0
        self._epoch = time.monotonic()

    @abstractmethod
    def grabs(self) -> Iterator["Grab"]:
        """Yield once per picture, at its time; ends or raises CameraError when the source does."""

    @override
    def work(self) -> None:
        try:
            for grab in self.grabs():
                if self.stopping.is_set():
                    return
                self._one(grab)
        finally:
            self._end_encoder()

    def _one(self, grab: "Grab") -> None:
        now, wanted = time.monotonic(), self.feed.wanted
        sampling = now >= self._sample_at
        if not wanted:
            self._end_encoder()
            if not sampling:
                return
        picture = self._rehearsed(grab)
        self.works()
        if sampling:
            self._sample_at = now + SAMPLE_S
            self.post(self._take, sample_of(picture, now, exact=True))
        if wanted:
            self._encode(picture, now)

    def _rehearsed(self, grab: "Grab") -> "Picture":
        if self.fault == "frozen":
            if self._kept is None:
                self._kept = grab()
            return self._kept
        self._kept = None
        picture = grab()
        if self.fault == "black":
            picture[:] = 0
        return picture

    def _encode(self, picture: "Picture", now: float) -> None:
        chosen = self.settings
        height, width = picture.shape[:2]
        if self._encoder is None:
            self._encoder = Encoder(width, height, chosen.frame_rate, chosen.bitrate_kbps, chosen.key_frame_s)
            self.feed.take_key_request()
            self._key_at = now
        key = now - self._key_at >= _KEY_REQUEST_S and self.feed.take_key_request()
        for unit in self._encoder.encode(picture, int((now - self._epoch) * CLOCK), now, key=key):
            if unit.key:
                self._key_at = now
            self.feed.put(unit)

    def _end_encoder(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _take(self, sample: Sample) -> None:
        self.judge.look(sample)
        self._newest = sample.at
        self._sampled.set()

    @override
    def health(self, now: float, wall: datetime) -> CameraHealth:
        verdict = self.judge.verdict(now)
        age = None if self._newest is None else max(0, round((now - self._newest) * 1000))
        fault = self.trouble if verdict is Verdict.NO_PICTURE else None
        return CameraHealth(verdict=verdict, frame_age_ms=age, checked_at=wall, fault=fault)

    @override
    async def prove(self, wall: datetime) -> CameraHealth:
        self._sampled.clear()
        self._sample_at = 0.0
        self.feed.wake.set()
        try:
            async with asyncio.timeout(2.0):
                await self._sampled.wait()
        except TimeoutError:
            pass
        return self.health(time.monotonic(), wall)
