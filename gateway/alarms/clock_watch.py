"""Notices steps of this gateway's wall clock by comparing it with the time since boot.

**A step changes no deadline** (`escalation/stepping.py` moves them with the clock); it is told as an alarm of this
gateway, cleared once the clock has run evenly for a minute.
"""

import logging
from datetime import datetime

from gateway.alarms.service import Alarms
from gateway.metrics import Metrics
from protocols.aio.clock import Clock
from protocols.alarm import CLEARED, RAISED, AlarmData, Severity

logger = logging.getLogger(__name__)
LOOK_S = 1.0
STEP_S = 2.0
"""Design section 4, Time: a step over 2 s is recorded and raises an alarm."""
QUIET_S = 60.0
KEY = "clock/step"


class ClockWatch:
    """Run `run` as a supervised task."""

    def __init__(self, clock: Clock, alarms: Alarms, metrics: Metrics) -> None:
        self._clock = clock
        self._alarms = alarms
        self._metrics = metrics
        self._offset = self._look()
        self._raised: tuple[float, AlarmData] | None = None

    async def run(self) -> None:
        """Look once a second for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Compare once, and raise or clear what is due."""
        before, self._offset = self._offset, self._look()
        step, now = self._offset - before, self._clock.monotonic()
        if abs(step) > STEP_S:
            self._metrics.count("clock_steps_total")
            logger.warning("clock stepped", extra={"seconds": round(step, 3)})
            data = self._data(step, self._clock.now())
            self._raised = (now, data)
            await self._alarms.report(RAISED, data)
        elif self._raised is not None and now - self._raised[0] >= QUIET_S:
            data, self._raised = self._raised[1], None
            await self._alarms.report(CLEARED, data.model_copy(update={"observed_at": self._clock.now()}))

    def _look(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _data(self, step: float, now: datetime) -> AlarmData:
        return AlarmData(
            alarm_key=KEY,
            centre=self._alarms.centre,
            sensor="clock",
            event_type="dev.clock",
            severity=Severity.YELLOW,
            headline=f"网关时钟跳变 {step:+.1f} 秒",
            detail="The wall clock of this gateway stepped; check its time source (timedatectl).",
            observed_at=now,
            value=round(step, 3),
            unit="s",
        )
