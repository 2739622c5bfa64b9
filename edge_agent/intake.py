"""The one door for alarms: every sensor source hands its reports to `Intake.take`.

**When `take` returns, the alarm is on disk**; until then the sensor must keep it. What cannot be true (a clock more
than a day off) or does not fit is refused with an error that the sensor sees, and counted.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from edge_agent.cap import CALM_S, Cap, Flood
from protocols.aio.clock import Clock, new_ulid
from protocols.alarm import Condition, SensorReport, Severity, lane_for
from protocols.envelope import Event, Lane
from protocols.errors import BadClockError, SilianError, TooOftenError

logger = logging.getLogger(__name__)
CLOCK_LIMIT = timedelta(hours=24)


LOOK_S = 5.0


class Store(Protocol):
    """What the intake needs of the spool."""

    async def put_many(self, items: Sequence[tuple[Lane, Event]]) -> list[int]:
        """Store all or none, durably; raises SpoolFullError, TooLargeError."""
        ...

    async def next_origin_counter(self, count: int = 1) -> int:
        """Reserve counters, never given twice."""
        ...


class Intake:
    """Turns reports into events of this node and stores them. `counters`: taken, refused_<code>.

    A sensor that reports more often than `per_minute` (0: as often as it likes) is refused and becomes an alarm that
    says how much was refused; run `watch` beside the sources. Red alarms are never refused for that.
    """

    def __init__(self, node: str, store: Store, clock: Clock, per_minute: float = 0.0) -> None:
        self.counters: Counter[str] = Counter()
        self._cap = Cap(per_minute)
        self._node = node
        self._store = store
        self._clock = clock

    def check(self, reports: Sequence[SensorReport], source: str) -> None:
        """Raise BadClockError if a report's time cannot be true."""
        now = self._clock.now()
        for report in reports:
            self._check_clock(report, now, source)

    async def take(
        self, reports: Sequence[SensorReport], source: str, ids: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Store reports, all or none, and return their event ids (`ids` where the caller has fixed them).

        Raises BadClockError, TooOftenError, SpoolFullError, TooLargeError. Cancelling is safe; the alarms may be stored
        all the same.
        """
        self.check(reports, source)
        flooding = self._cap.excess(reports, self._clock.monotonic())
        if flooding is not None:
            raise TooOftenError(
                f"sensor {flooding} reports more often than intake.per_sensor_per_minute; send it later"
            )
        return await self._store_all(reports, ids)

    async def watch(self) -> None:
        """Turn floods into alarms, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.tell_floods()

    async def tell_floods(self) -> None:
        """Store what is to be told of floods; what cannot be stored is told at the next look."""
        for flood in self._cap.news(self._clock.monotonic()):
            try:
                await self._store_all([_flood_report(flood)], None)
            except SilianError as error:
                logger.error("flood not told", extra={"sensor": flood.sensor, "error": str(error)})
                return
            logger.warning(
                "sensor floods", extra={"sensor": flood.sensor, "refused": flood.refused, "over": flood.over}
            )
            self._cap.told(flood)

    async def _store_all(self, reports: Sequence[SensorReport], ids: Sequence[str] | None) -> tuple[str, ...]:
        now = self._clock.now()
        chosen = ids or [new_ulid(self._clock) for _ in reports]
        counter = await self._store.next_origin_counter(len(reports))
        items = [
            (lane_for(report.severity), self._event(report, id_, now, counter + number))
            for number, (id_, report) in enumerate(zip(chosen, reports, strict=True))
        ]
        await self._store.put_many(items)
        self.counters["taken"] += len(items)
        return tuple(event.id for _, event in items)

    def refused(self, code: str, source: str, detail: str) -> None:
        """Count and log a report that was refused before or by `take`."""
        self.counters["refused_" + code] += 1
        logger.warning("alarm refused", extra={"source": source, "code": code, "detail": detail})

    def _event(self, report: SensorReport, id_: str, now: datetime, counter: int) -> Event:
        type_, data = report.type_and_data(self._node[:6], now)
        return Event(
            id=id_,
            source=self._node,
            type=type_,
            time=now,
            subject=report.alarm_key,
            data=data,
            origincounter=counter,
            drill=report.drill,
        )

    @staticmethod
    def _check_clock(report: SensorReport, now: datetime, source: str) -> None:
        seen = report.observed_at
        if seen is not None and abs(seen - now) > CLOCK_LIMIT:
            raise BadClockError(
                f"{source} says {seen.isoformat()}, this box says {now.isoformat()}: set the clock that is wrong"
            )


def _flood_report(flood: Flood) -> SensorReport:
    said = f"恢复正常,期间拒收 {flood.refused} 条" if flood.over else f"上报过频,已拒收 {flood.refused} 条"
    return SensorReport(
        alarm_key=f"{flood.sensor}/too-often",
        sensor=flood.sensor,
        event_type="dev.flood",
        severity=Severity.YELLOW,
        condition=Condition.CLEARED if flood.over else Condition.ACTIVE,
        headline=f"{flood.sensor} {said}",
        detail=f"超过 intake.per_sensor_per_minute；安静 {CALM_S:g} 秒后解除。红色告警从不拒收。",
        value=float(flood.refused),
    )
