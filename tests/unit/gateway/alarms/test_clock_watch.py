"""A step of the wall clock is told once and cleared after a quiet minute."""

from gateway.alarms.clock_watch import KEY, ClockWatch
from gateway.metrics import Metrics
from protocols.aio.clock import ManualClock
from protocols.alarm import CLEARED, RAISED, AlarmData


class Told:
    """Stands where the alarms room stands."""

    centre = "320600"

    def __init__(self) -> None:
        self.reports: list[tuple[str, AlarmData]] = []

    async def report(self, type_: str, data: AlarmData) -> str:
        self.reports.append((type_, data))
        return ""


async def test_a_step_is_told_once_and_cleared_after_a_quiet_minute() -> None:
    clock, told = ManualClock(), Told()
    watch = ClockWatch(clock, told, Metrics())  # the two methods it uses
    for _ in range(3):
        await clock.advance(1)
        await watch.look()
    assert told.reports == []
    clock.step(-86_400)
    await watch.look()
    await clock.advance(30)
    await watch.look()
    assert [(type_, data.alarm_key, data.value) for type_, data in told.reports] == [(RAISED, KEY, -86_400)]
    await clock.advance(31)
    await watch.look()
    assert [type_ for type_, _ in told.reports] == [RAISED, CLEARED]
    assert told.reports[1][1].observed_at == clock.now()


async def test_small_corrections_are_no_step() -> None:
    clock, told = ManualClock(), Told()
    watch = ClockWatch(clock, told, Metrics())  # the two methods it uses
    for _ in range(10):
        clock.step(1.5)
        await watch.look()
    assert told.reports == []
