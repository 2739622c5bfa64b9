"""Compressed sources: H.264 is passed on as the camera coded it; a decoder is used on suspicion and in a roll call.

**What is passed on is never re-timed within a run and never reordered.** Time stamps rise over reconnects and loops,
because receivers drop what goes back in time.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from typing_extensions import override

from edge_agent.cameras.advice import advice
from edge_agent.cameras.packets import STALE_S, PacketWatch
from edge_agent.cameras.sampling import decode_group
from edge_agent.cameras.source import Camera
from edge_agent.settings import CameraSettings
from protocols.aio.h264 import CLOCK, Unit, is_key, parameter_sets, with_parameter_sets
from protocols.health import CameraHealth, Verdict
from protocols.picture import FROZEN_AFTER_S, PictureJudge, Sample

logger = logging.getLogger(__name__)
_KEYS_KEPT = 12
_SUSPECT_EVERY_S = 0.9
_STALE_S = 9.0
"""Key frames come up to 4 s apart: two missed ones make a judged picture old."""


class Passage:
    """Turns demuxed packets of one run into units: Annex B, parameter sets at key frames, rising time stamps."""

    def __init__(self, extradata: bytes, base_pts: int) -> None:
        self._sets = parameter_sets(extradata)
        self._base = base_pts
        self._first: int | None = None
        self._scale: tuple[int, int] | None = None
        """Ticks of 1/90000 s in one of the run's own, as a fraction; a run has one time base."""

    def unit(self, packet: Any, arrived: float) -> Unit | None:
        """Return the unit of one packet, or None for an empty one."""
        data = bytes(packet)
        if not data:
            return None
        key = is_key(data)
        if key:
            self._sets = parameter_sets(data) or self._sets
            data = with_parameter_sets(data, self._sets)
        stamp = packet.pts if packet.pts is not None else packet.dts
        ticks = self._ticks(stamp, packet) if stamp is not None else round(arrived * CLOCK)
        if self._first is None:
            self._first = ticks
        return Unit(data, key, self._base + ticks - self._first, arrived)

    def _ticks(self, stamp: int, packet: Any) -> int:
        if self._scale is None:
            scale = packet.time_base * CLOCK
            self._scale = scale.numerator, scale.denominator
        many, few = self._scale
        return (2 * stamp * many + few) // (2 * few)


class CompressedWatch:
    """The health of a passed-through camera (loop's thread): packets first, a decoder where they prove nothing."""

    def __init__(self, pixels: int = 640 * 360) -> None:
        self.packets = PacketWatch(pixels)
        self.decoded = 0
        self._judge = PictureJudge(stale_after_s=_STALE_S)
        self._keys: deque[Unit] = deque(maxlen=_KEYS_KEPT)
        self._looked_at = 0.0
        self._busy = False

    def look(self, unit: Unit) -> None:
        """Take one unit."""
        self.packets.look(unit)
        if unit.key:
            self._keys.append(unit)

    def due(self, now: float) -> bool:
        """Tell whether a key frame should be decoded now."""
        fresh = self._keys and self._keys[-1].arrived > self._looked_at
        return (
            bool(fresh)
            and not self._busy
            and self.packets.suspicious(now)
            and now - self._looked_at >= _SUSPECT_EVERY_S
        )

    async def decode_newest(self) -> None:
        """Decode the newest key frame for the judge."""
        self._busy, key = True, self._keys[-1]
        try:
            self._looked_at = key.arrived
            for sample in await asyncio.to_thread(decode_group, [(key.arrived, key.data)]):
                self.decoded += 1
                self._judge.look(sample)
        finally:
            self._busy = False

    def verdict(self, now: float) -> Verdict:
        """Return what packets and decoded key frames prove at `now`."""
        age = self.packets.frame_age_ms(now)
        if age is None or age > STALE_S * 1000:
            return Verdict.NO_PICTURE
        if not self.packets.suspicious(now):
            return Verdict.LIVE
        found = self._judge.verdict(now)
        return Verdict.UNPROVEN if found is Verdict.NO_PICTURE else found

    async def prove(self, group: tuple[Unit, ...]) -> Verdict:
        """Decode the newest group, and the kept key frames where it proves nothing, and judge them afresh."""
        keys = [(unit.arrived, unit.data) for unit in self._keys]
        newest = [(unit.arrived, unit.data) for unit in group]
        samples = await asyncio.to_thread(decode_group, newest) if newest else []
        self.decoded += len(samples)
        found = _judged(samples)
        if found is Verdict.LIVE:
            return found
        older = await asyncio.to_thread(_each, keys[:-1] if samples else keys)
        self.decoded += len(older)
        return _judged(older + samples)


def _each(keys: list[tuple[float, bytes]]) -> list[Sample]:
    """Sample every key frame on its own."""
    return [sample for one in keys for sample in decode_group([one])]


def _judged(samples: list[Sample]) -> Verdict:
    judge = PictureJudge(frozen_after_s=FROZEN_AFTER_S, stale_after_s=_STALE_S)
    for sample in sorted(samples, key=lambda one: one.at):
        judge.look(sample)
    return judge.verdict(time.monotonic())


class CompressedCamera(Camera):
    """Base of kinds that pass H.264 through; `pump` is called by the thread with each packet's unit."""

    passthrough = True

    def __init__(self, settings: CameraSettings, centre: str) -> None:
        super().__init__(settings, centre)
        self.watch = CompressedWatch()
        self._epoch = time.monotonic()
        self._last_pts = -1
        self._told: str | None = None

    def base_pts(self) -> int:
        """Return the time stamp at which a new run starts: real time, and later than all before."""
        return max(int((time.monotonic() - self._epoch) * CLOCK), self._last_pts + CLOCK // 25)

    def pump(self, unit: Unit) -> None:
        """Pass one unit on; called in the thread."""
        self._last_pts = max(self._last_pts, unit.pts)
        self.works()
        self.feed.take_key_request()  # nobody can ask such a source: the kept group and its next key frame must do
        self.post(self._take, unit)

    def pump_when_due(self, units: Sequence[Unit]) -> None:
        """Pass units on when each is due (its `arrived`), or now where that is over; called in the thread."""
        self._last_pts = max(self._last_pts, *(unit.pts for unit in units))
        self.works()
        self.feed.take_key_request()
        self.post(self._take_when_due, units)

    def _take_when_due(self, units: Sequence[Unit]) -> None:
        now = time.monotonic()
        for unit in units:
            if unit.arrived > now:
                self.loop.call_later(unit.arrived - now, self._take, unit)
            else:
                self._take(replace(unit, arrived=now))

    def _take(self, unit: Unit) -> None:
        self.feed.deliver(unit)
        self.watch.look(unit)

    def stream_fault(self, now: float) -> str | None:
        """Name what is wrong with the stream itself, or None."""
        return self.watch.packets.fault(now)

    def tell(self, now: float) -> None:
        """Log a fault of the stream when it begins and ends."""
        fault = None if self.trouble else self.stream_fault(now)
        if fault != self._told:
            self._told = fault
            fields = {"camera": self.name, "fault": fault or "none", "advice": advice(fault)}
            logger.log(logging.WARNING if fault else logging.INFO, "camera stream", extra=fields)

    @override
    async def tick(self, now: float) -> None:
        self.tell(now)
        if self.watch.due(now):
            await self.watch.decode_newest()

    @override
    def health(self, now: float, wall: datetime) -> CameraHealth:
        fault = self.trouble or self.stream_fault(now)
        return CameraHealth(
            verdict=self.watch.verdict(now),
            frame_age_ms=self.watch.packets.frame_age_ms(now),
            checked_at=wall,
            fault=fault,
        )

    @override
    async def prove(self, wall: datetime) -> CameraHealth:
        now = time.monotonic()
        health = self.health(now, wall)
        if health.verdict is Verdict.NO_PICTURE:
            return health
        return health.model_copy(update={"verdict": await self.watch.prove(self.feed.group)})
