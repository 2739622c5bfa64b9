"""Clocks: the manual one wakes sleepers in order and can be set wrong without waking anybody."""

import asyncio
from datetime import timedelta

from protocols.aio.clock import ManualClock, SystemClock, new_ulid
from protocols.ids import ulid_ms


async def test_manual_clock_wakes_in_order():
    clock, woken = ManualClock(), []

    async def sleeper(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for seconds in (3.0, 1.0, 2.0, 0.0):
            group.create_task(sleeper(seconds))
        await asyncio.sleep(0)
        began, wall = clock.monotonic(), clock.now()
        await clock.advance(10)
    assert [one for one, _ in woken] == [0.0, 1.0, 2.0, 3.0]
    assert [at - began for _, at in woken] == [0.0, 1.0, 2.0, 3.0]
    assert clock.now() - wall == timedelta(seconds=10)


async def test_stepping_the_wall_wakes_nobody():
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(5))
        await asyncio.sleep(0)
        wall, mono = clock.now(), clock.monotonic()
        clock.step(86_400)
        await asyncio.sleep(0)
        assert not task.done()
        assert clock.now() - wall == timedelta(days=1)
        assert clock.monotonic() == mono
        await clock.advance(5)


async def test_waiting_for_an_event_or_the_time():
    for clock in (ManualClock(), SystemClock()):
        event = asyncio.Event()
        assert await clock.wait(event, 0) is False
        event.set()
        assert await clock.wait(event, None) is True
        assert await clock.wait(event, 1) is True
    clock, event = ManualClock(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        late = group.create_task(clock.wait(event, 2))
        await asyncio.sleep(0)
        await clock.advance(3)
        assert await late is False
        early = group.create_task(clock.wait(event, 2))
        await asyncio.sleep(0)
        event.set()
        assert await early is True


async def test_system_clock():
    clock = SystemClock()
    assert clock.now().tzinfo is not None
    before = clock.monotonic()
    await clock.sleep(-1)
    assert clock.monotonic() >= before
    assert await clock.wait(asyncio.Event(), 0.01) is False


def test_ulid_carries_the_time():
    clock = ManualClock()
    assert ulid_ms(new_ulid(clock)) == int(clock.now().timestamp() * 1000)
    assert new_ulid(clock) != new_ulid(clock)
