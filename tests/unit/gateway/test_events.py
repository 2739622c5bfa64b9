"""The event bus: who is told what, and what a slow subscriber hears."""

import asyncio

import pytest

from gateway.events import AlarmChanged, CallChanged, EventBus, Overflowed


async def test_a_subscriber_hears_only_its_types() -> None:
    bus = EventBus()
    async with bus.subscribe(AlarmChanged) as heard:
        bus.publish(CallChanged("x"))
        bus.publish(AlarmChanged("a"))
        assert await anext(heard) == AlarmChanged("a")


async def test_a_slow_subscriber_is_told_how_many_events_it_missed() -> None:
    bus = EventBus()
    async with bus.subscribe(AlarmChanged, limit=2) as heard:
        for name in "abcd":
            bus.publish(AlarmChanged(name))
        assert await anext(heard) == Overflowed(2)
        assert await anext(heard) == AlarmChanged("c")
    assert bus.overflowed == 2


async def test_closing_ends_the_iteration() -> None:
    bus = EventBus()
    heard = bus.subscribe()
    waiting = asyncio.ensure_future(anext(heard))
    await asyncio.sleep(0)
    heard.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


def test_a_listener_is_called_at_once() -> None:
    bus = EventBus()
    seen: list[AlarmChanged] = []
    bus.listen(AlarmChanged, seen.append)
    bus.publish(AlarmChanged("a"))
    bus.publish(CallChanged("b"))
    assert seen == [AlarmChanged("a")]
