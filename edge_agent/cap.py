"""How often one sensor may report: a bucket per sensor that refills evenly. Pure; time is an argument.

**A request with a red alarm in it always passes**, and uses up the bucket like any other. What is refused is counted
per sensor until it is told of, so that a flood is an alarm and never a silence.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.alarm import SensorReport, Severity

CALM_S = 60.0
"""A flood is over once nothing was refused for so long."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    refused: int = 0
    refused_at: float = 0.0
    told: bool = False


@dataclass(frozen=True, slots=True)
class Flood:
    """What is to be told of a sensor: that reports are refused (`over` False), or how many were, and that it ended."""

    sensor: str
    refused: int
    over: bool


class Cap:
    """The buckets of one source of alarms. `per_minute` 0 means no cap."""

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, _Bucket] = {}

    def excess(self, reports: Iterable[SensorReport], now: float) -> str | None:
        """Return the sensor that reports too often, for whose sake the whole request is refused; None where it passes.

        `now` is monotonic seconds. A bucket may go below zero by one request, so that a large one is possible.
        """
        if not self._per_minute:
            return None
        wanted: dict[str, int] = {}
        red = False
        for report in reports:
            wanted[report.sensor] = wanted.get(report.sensor, 0) + 1
            red = red or report.severity is Severity.RED
        buckets = {sensor: self._filled(sensor, now) for sensor in wanted}
        empty = next((sensor for sensor, bucket in buckets.items() if bucket.tokens <= 0), None)
        if empty is not None and not red:
            buckets[empty].refused += sum(wanted.values())
            buckets[empty].refused_at = now
            return empty
        for sensor, count in wanted.items():
            buckets[sensor].tokens = max(buckets[sensor].tokens, 0.0) - count
        return None

    def _filled(self, sensor: str, now: float) -> _Bucket:
        bucket = self._buckets.setdefault(sensor, _Bucket(self._per_minute, now))
        bucket.tokens = min(self._per_minute, bucket.tokens + (now - bucket.at) * self._per_minute / 60)
        bucket.at = now
        return bucket

    def news(self, now: float) -> list[Flood]:
        """Return the floods that began or ended and were not told of; `told` makes them known."""
        found = []
        for sensor, bucket in self._buckets.items():
            if bucket.refused and not bucket.told:
                found.append(Flood(sensor, bucket.refused, over=False))
            elif bucket.told and now - bucket.refused_at >= CALM_S:
                found.append(Flood(sensor, bucket.refused, over=True))
        return found

    def told(self, flood: Flood) -> None:
        """Take that a flood is stored as an alarm, or its end."""
        bucket = self._buckets[flood.sensor]
        bucket.told = not flood.over
        bucket.refused = 0 if flood.over else bucket.refused
