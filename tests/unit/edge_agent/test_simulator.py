from itertools import islice

import pytest

from edge_agent.intake import Intake
from edge_agent.sensors.simulator import Simulator, steps
from edge_agent.settings import SensorSettings
from protocols.aio.clock import ManualClock
from protocols.aio.tasks import Supervisor
from protocols.alarm import Condition
from protocols.errors import SpoolFullError

SETTINGS = SensorSettings(kind="simulator", name="s", rate_per_minute=30, seed=7, keys=4, clear_after_s=5)


class Store:
    """Keeps events in memory and can be full."""

    def __init__(self):
        self.events = []
        self.full = False
        self.counter = 0

    async def put_many(self, items):
        if self.full:
            raise SpoolFullError("full")
        self.events += [event for _, event in items]
        return list(range(len(self.events)))

    async def next_origin_counter(self, count=1):
        self.counter += count
        return self.counter - count


def test_the_same_seed_gives_the_same_alarms():
    first, second = list(islice(steps(SETTINGS), 50)), list(islice(steps(SETTINGS), 50))
    assert first == second
    other = SETTINGS.model_copy(update={"seed": 8})
    assert list(islice(steps(other), 50)) != first


def test_raises_and_clears_come_in_pairs_per_key():
    standing = set()
    for step in islice(steps(SETTINGS), 400):
        key = step.report.alarm_key
        assert (key in standing) == (step.report.condition is Condition.CLEARED)
        standing ^= {key}
        assert step.wait_s >= 0


def test_the_rate_is_kept_on_the_long_run():
    free = SETTINGS.model_copy(update={"keys": 200})
    found = list(islice(steps(free), 2000))
    raises = sum(step.report.condition is Condition.ACTIVE for step in found)
    assert raises / sum(step.wait_s for step in found) * 60 == pytest.approx(30, rel=0.15)


async def test_a_full_spool_is_waited_for_and_nothing_is_dropped():
    clock, store = ManualClock(), Store()
    intake = Intake("320623-box", store, clock)
    store.full = True
    async with Supervisor("test") as tasks:
        tasks.start("s", Simulator(SETTINGS, intake, clock).run)
        for _ in range(60):
            await clock.advance(1)
        assert not store.events
        assert intake.counters["refused_spool_full"] >= 5
        store.full = False
        for _ in range(60):
            await clock.advance(1)
    expected = [step.report.alarm_key for step in islice(steps(SETTINGS), len(store.events))]
    assert [event.data["alarm_key"] for event in store.events] == expected
    assert len(store.events) > 5
