"""A step of the clock moves open deadlines with it, on every store that one process has to itself."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.escalation import timers
from gateway.escalation.stepping import Stepping
from gateway.escalation.tables import timers as rows
from protocols.aio.clock import ManualClock
from tests.support.databases import new_bench


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_deadline_keeps_its_distance_over_a_step_and_over_a_restart(kind: str, tmp_path: Path) -> None:
    clock = ManualClock()
    bench = await new_bench(kind, tmp_path, clock)
    async with bench.open() as store:
        stepping = Stepping(clock, "boot")
        async with store.unit() as uow:
            await stepping.begin(uow)
            await timers.arm(uow, "run", "a", clock.now() + timedelta(seconds=8))
        clock.step(-3600)
        await stepping.look(store)
        async with store.unit() as uow:
            (row,) = await uow.execute(select(rows))
            assert row.due_at - clock.now() == timedelta(seconds=8)
        clock.step(7200)
        async with store.unit() as uow:
            await Stepping(clock, "boot").begin(uow)
        async with store.unit() as uow:
            (row,) = await uow.execute(select(rows))
            assert row.due_at - clock.now() == timedelta(seconds=8)
