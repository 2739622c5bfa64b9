"""The cap on one sensor's reports: a flood is refused and told of, red alarms pass, and neighbours are left alone."""

import pytest

from edge_agent.cap import CALM_S, Cap
from edge_agent.intake import Intake
from protocols.aio.clock import ManualClock
from protocols.alarm import CLEARED, RAISED, SensorReport
from protocols.errors import TooOftenError


def report(sensor: str = "gas-1", severity: int = 3) -> SensorReport:
    return SensorReport.model_validate(
        {"alarm_key": f"{sensor}/high", "sensor": sensor, "severity": severity, "headline": "超限"}
    )


def test_a_bucket_empties_and_refills_evenly() -> None:
    cap = Cap(60)
    assert [cap.excess([report()], 0.0) for _ in range(60)] == [None] * 60
    assert cap.excess([report()], 0.0) == "gas-1"
    assert cap.excess([report("gas-2")], 0.0) is None
    assert cap.excess([report()], 1.0) is None
    assert cap.excess([report()], 1.0) == "gas-1"


def test_a_request_with_a_red_alarm_passes_whatever_came_before() -> None:
    cap = Cap(10)
    assert cap.excess([report()] * 1000, 0.0) is None, "a large request is possible once"
    assert cap.excess([report()], 0.0) == "gas-1"
    assert [cap.excess([report(severity=1), report()], 0.0) for _ in range(100)] == [None] * 100


def test_without_a_cap_everything_passes() -> None:
    cap = Cap(0)
    assert cap.excess([report()] * 10_000, 0.0) is None
    assert cap.news(0.0) == []


class Kept:
    def __init__(self) -> None:
        self.events: list = []

    async def put_many(self, items) -> list[int]:
        self.events += [event for _, event in items]
        return list(range(len(items)))

    async def next_origin_counter(self, count: int = 1) -> int:
        return len(self.events) + 1


async def test_a_flood_is_an_alarm_that_says_how_much_was_refused_and_ends_when_it_is_calm() -> None:
    clock, kept = ManualClock(), Kept()
    intake = Intake("320623-box", kept, clock, per_minute=2)
    for _ in range(2):
        await intake.take([report()], "webhook")
    for _ in range(3):
        with pytest.raises(TooOftenError):
            await intake.take([report()], "webhook")
    await intake.take([report(severity=1)], "webhook")
    await intake.tell_floods()
    await intake.tell_floods()
    (told,) = [event for event in kept.events if event.data["event_type"] == "dev.flood"]
    assert (told.type, told.data["sensor"], told.data["value"]) == (RAISED, "gas-1", 3.0)
    await clock.advance(CALM_S)
    await intake.take([report()], "webhook")
    await intake.tell_floods()
    assert (kept.events[-1].type, kept.events[-1].data["alarm_key"]) == (CLEARED, "gas-1/too-often")
    await intake.tell_floods()
    assert len([event for event in kept.events if event.data["event_type"] == "dev.flood"]) == 2
