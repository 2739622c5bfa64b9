"""Supervised tasks: named, restarted after a pause, counted, none left behind."""

import asyncio
import logging
from itertools import pairwise

import pytest

from protocols.aio.clock import ManualClock
from protocols.aio.tasks import Supervisor, together
from protocols.errors import StoreAwayError


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_crash_is_restarted_after_a_pause_and_counted(caplog):
    clock, runs = ManualClock(), []

    async def work():
        runs.append(clock.monotonic())
        if len(runs) < 3:
            raise RuntimeError("broken")

    async with Supervisor("house", clock=clock) as supervisor:
        supervisor.start("room", work)
        await settle()
        assert len(runs) == 1
        (figure,) = supervisor.figures()
        assert (figure.state, figure.last_error) == ("pausing", "RuntimeError: broken")
        await clock.advance(60)
        assert len(runs) == 3
        assert supervisor.counters["restarted"] == 2
        assert supervisor.figures()[0].state == "ended"
        assert not supervisor.running("room")
    assert "task failed" in caplog.text


async def test_what_passes_by_itself_is_one_line_and_is_looked_at_again_soon(caplog):
    clock, runs = ManualClock(), []

    async def work():
        runs.append(clock.monotonic())
        if len(runs) <= 20:
            raise StoreAwayError("the database is away: planted")

    async with Supervisor("house", clock=clock) as supervisor:
        supervisor.start("room", work)
        await settle()
        for _ in range(600):
            await clock.advance(0.1)
        assert len(runs) == 21
    assert all(later - sooner <= 2.2 for sooner, later in pairwise(runs)), "deadlines wait for nobody's back-off"
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [(record.message, record.exc_info) for record in said] == [
        ("task waits: the database is away: planted", None)
    ]


async def test_leaving_cancels_and_awaits_all():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(1)

    async with Supervisor("house") as supervisor:
        supervisor.start("a", work)
        supervisor.start("b", work)
        await settle()
        with pytest.raises(AssertionError):
            supervisor.start("a", work)
        await supervisor.cancel("a")
        assert ended == [1]
        await supervisor.cancel("unknown")
    assert ended == [1, 1]


async def test_without_restart_a_failure_ends_the_task():
    async def work():
        raise ValueError("once")

    async with Supervisor("house", clock=ManualClock()) as supervisor:
        supervisor.start("a", work, restart=False)
        await settle()
        assert supervisor.counters["failed"] == 1
        assert not supervisor.running("a")


async def test_together_ends_with_the_first_and_raises_plainly():
    cancelled = []

    async def forever():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def fails():
        await asyncio.sleep(0)
        raise ValueError("plain")

    with pytest.raises(ValueError, match="plain"):
        await together({"a": forever(), "b": fails()})
    assert cancelled == [1]
    await together({"a": forever(), "b": asyncio.sleep(0)})
    assert cancelled == [1, 1]
