from datetime import timedelta

import pytest

from edge_agent.clock_watch import ClockWatch
from protocols.aio.clock import ManualClock
from protocols.alarm import Condition


async def run(clock, watch, seconds):
    reports = []
    for _ in range(seconds):
        await clock.advance(1.0)
        report = watch.look(clock.now(), clock.monotonic())
        if report is not None:
            reports.append(report)
    return reports


@pytest.mark.parametrize("step", [3600.0, -86_400.0, 2.5])
async def test_a_step_is_told_once_and_cleared_after_a_quiet_minute(step):
    clock, watch = ManualClock(), ClockWatch()
    assert await run(clock, watch, 5) == []
    clock.step(step)
    (raised,) = await run(clock, watch, 30)
    assert raised.value == pytest.approx(step)
    assert raised.condition is Condition.ACTIVE
    (cleared,) = await run(clock, watch, 40)
    assert (cleared.condition, cleared.alarm_key) == (Condition.CLEARED, raised.alarm_key)
    assert watch.steps == 1


async def test_slewing_and_long_pauses_are_no_steps():
    clock, watch = ManualClock(), ClockWatch()
    for _ in range(20):
        clock.step(0.5)
        assert await run(clock, watch, 1) == []
    await clock.advance(timedelta(hours=3).total_seconds())
    assert await run(clock, watch, 1) == []
