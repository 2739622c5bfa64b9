"""Raw sources: pictures are sampled once a second always, and a layer is encoded only while somebody reads it."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from edge_agent.cameras.feed import Feed
from edge_agent.cameras.layers import THUMB_KBPS, THUMB_KEY_S, THUMB_RATE, LayerEncoder
from edge_agent.cameras.sampling import sample_of
from edge_agent.cameras.source import Camera
from edge_agent.settings import CameraSettings
from protocols.challenge import plate
from protocols.health import CameraHealth, Verdict
from protocols.picture import PictureJudge, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[Any]
    Grab = Callable[[], Picture]

SAMPLE_S = 1.0


class RawCamera(Camera):
    """Drives one raw source: `grabs` yields a way to get each picture at its time; most are never taken while idle."""

    def __init__(self, settings: CameraSettings, centre: str) -> None:
        super().__init__(settings, centre)
        self.judge = PictureJudge()
        self._sampled = asyncio.Event()
        self._sample_at: float = 0.0
        self._newest: float | None = None
        self._kept: Picture | None = None
        self._epoch = time.monotonic()
        self.thumb = Feed(f"{settings.name}/thumb", keep_group=False, wake=self.feed.wake)
        self.layers = (
            LayerEncoder(
                "main", self.feed, rate=settings.frame_rate, kbps=settings.bitrate_kbps, key_s=settings.key_frame_s
            ),
            LayerEncoder(
                "thumb",
                self.thumb,
                rate=min(THUMB_RATE, settings.frame_rate),
                kbps=min(THUMB_KBPS, settings.bitrate_kbps),
                key_s=THUMB_KEY_S,
                thinned=True,
            ),
        )

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
            for layer in self.layers:
                layer.end()

    def _one(self, grab: "Grab") -> None:
        now = time.monotonic()
        sampling = now >= self._sample_at
        due = [layer for layer in self.layers if layer.due(now)]
        if not due and not sampling:
            return
        picture = self._rehearsed(grab)
        self.works()
        if sampling:
            self._sample_at = now + SAMPLE_S
            self.post(self._take, sample_of(picture, now, exact=True))
        shown = self._numbered(picture) if due else picture
        for layer in due:
            layer.encode(shown, now, self._epoch)

    def _numbered(self, picture: "Picture") -> "Picture":
        """Return the picture with the challenge number; the picture itself, by which it is judged, stays as it is."""
        number = self.number
        if number is None:
            return picture
        shown = picture.copy()
        for (left, top, right, bottom), level in plate(number, shown.shape[1], shown.shape[0]):
            shown[top:bottom, left:right] = level
        return shown

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

    def _take(self, sample: Sample) -> None:
        self.judge.look(sample)
        self._newest = sample.at
        self._sampled.set()

    @override
    def encoded(self) -> dict[str, int]:
        return {layer.name: layer.encoded for layer in self.layers}

    @override
    def steer(self, targets: Mapping[str, int]) -> None:
        for layer in self.layers:
            layer.target_kbps = targets.get(layer.name, layer.ceiling_kbps)

    @override
    def bounds(self) -> dict[str, tuple[int, int]]:
        return {layer.name: (layer.floor_kbps, layer.ceiling_kbps) for layer in self.layers}

    @override
    def health(self, now: float, wall: datetime) -> CameraHealth:
        verdict = self.judge.verdict(now)
        age = None if self._newest is None else max(0, round((now - self._newest) * 1000))
        fault = self.trouble if verdict is Verdict.NO_PICTURE else "colour_bars" if self.judge.bars else None
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
