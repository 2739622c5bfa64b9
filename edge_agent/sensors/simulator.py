"""Sensor kind `simulator`: raises and clears alarms like a county with a few noisy sensors. Same seed, same alarms."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.intake import Intake
from edge_agent.settings import SensorSettings
from protocols.aio.clock import Clock
from protocols.alarm import Condition, SensorReport, Severity
from protocols.errors import SpoolFullError

_KINDS = (
    ("gas", "储罐区可燃气体浓度超限", "%LEL", 25.0, 60.0),
    ("water", "河道水位超警戒", "m", 3.2, 5.0),
    ("fire", "仓库烟感报警", "dB/m", 0.3, 2.0),
    ("wind", "大风超限", "m/s", 17.2, 28.0),
    ("slope", "边坡位移超限", "mm", 30.0, 90.0),
)

LABEL = "模拟"


@dataclass(frozen=True, slots=True)
class Step:
    """One report and the seconds after the step before."""

    wait_s: float
    report: SensorReport


def steps(settings: SensorSettings) -> Iterator[Step]:
    """Yield raise and clear pairs for ever, in order of time. A key that is raised is not raised again."""
    chance = random.Random(settings.seed)  # noqa: S311 - a simulation, no secret
    clears: list[tuple[float, int]] = []
    raised: dict[int, SensorReport] = {}
    at, now = 0.0, 0.0
    while True:
        at += chance.expovariate(settings.rate_per_minute / 60)
        while clears and clears[0][0] <= at:
            due, key = heapq.heappop(clears)
            report = raised.pop(key).model_copy(update={"condition": Condition.CLEARED})
            yield Step(due - now, report)
            now = due
        free = [key for key in range(settings.keys) if key not in raised]
        if not free:
            continue
        key = chance.choice(free)
        raised[key] = _report(settings, key, chance)
        heapq.heappush(clears, (at + chance.expovariate(1 / settings.clear_after_s), key))
        yield Step(at - now, raised[key])
        now = at


def _report(settings: SensorSettings, key: int, chance: random.Random) -> SensorReport:
    kind, headline, unit, low, high = _KINDS[key % len(_KINDS)]
    severity = chance.choices(list(Severity), weights=settings.severities)[0]
    return SensorReport(
        alarm_key=f"{kind}-{key}/high",
        sensor=f"{kind}-{key}",
        severity=severity,
        headline=headline,
        value=round(chance.uniform(low, high), 1),
        unit=unit,
        label=settings.label if settings.label is not None else LABEL,
    )


class Simulator:
    """Runs the steps in their time; a full spool is waited for, as a real sensor would."""

    def __init__(self, settings: SensorSettings, intake: Intake, clock: Clock) -> None:
        self._settings = settings
        self._intake = intake
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled; a rate of 0 ends at once."""
        if self._settings.rate_per_minute <= 0:
            return
        for step in steps(self._settings):
            await self._clock.sleep(step.wait_s)
            await self._hand_over(step.report)

    async def _hand_over(self, report: SensorReport) -> None:
        while True:
            try:
                await self._intake.take([report], self._settings.name)
            except SpoolFullError as error:
                self._intake.refused(error.code, self._settings.name, str(error))
                await self._clock.sleep(5.0)
            else:
                return
