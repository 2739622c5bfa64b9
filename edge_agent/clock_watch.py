"""Notices steps of the wall clock by comparing it with the time since boot (design section 4, Time). A pure rule.

**A step changes no deadline** (those run on boot time); it is only told: as an alarm of this box, cleared once the
clock has run evenly for a minute.
"""

from datetime import datetime

from protocols.alarm import Condition, SensorReport, Severity

STEP_S = 2.0
QUIET_S = 60.0
KEY = "clock/step"


class ClockWatch:
    """Call `look` about once a second; it returns the report that is due, if any. `steps` counts them."""

    def __init__(self) -> None:
        self.steps = 0
        self._offset: float | None = None
        self._raised: tuple[float, SensorReport] | None = None

    def look(self, now: datetime, monotonic: float) -> SensorReport | None:
        """Compare wall time with monotonic seconds."""
        offset = now.timestamp() - monotonic
        before, self._offset = self._offset, offset
        if before is not None and abs(offset - before) > STEP_S:
            self.steps += 1
            report = _report(offset - before)
            self._raised = (monotonic, report)
            return report
        if self._raised is not None and monotonic - self._raised[0] >= QUIET_S:
            report, self._raised = self._raised[1], None
            return report.model_copy(update={"condition": Condition.CLEARED})
        return None


def _report(step_s: float) -> SensorReport:
    return SensorReport(
        alarm_key=KEY,
        sensor="clock",
        event_type="dev.clock",
        severity=Severity.YELLOW,
        headline=f"本机时钟跳变 {step_s:+.1f} 秒",
        detail="The wall clock of this box stepped; check its time source (timedatectl).",
        value=round(step_s, 3),
        unit="s",
    )
