"""The one shell for rules: events, time, effects, end."""

import asyncio

from protocols.aio.clock import ManualClock
from protocols.aio.drive import drive


class Countdown:
    def __init__(self, now):
        self.deadline, self.done, self.seen = now + 5, False, []

    def handle(self, event, now):
        self.deadline = now + 5
        return [f"got {event}"]

    def tick(self, now):
        self.done = True
        return ["rang"]


async def test_events_then_the_deadline():
    clock, inbox, done = ManualClock(), asyncio.Queue(), []

    async def perform(effect):
        done.append(effect)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(drive(Countdown(clock.monotonic()), inbox, perform, clock))
        inbox.put_nowait("a")
        inbox.put_nowait("b")
        for _ in range(30):
            await asyncio.sleep(0)
        await clock.advance(4)
        assert done == ["got a", "got b"]
        await clock.advance(2)
        await task
    assert done == ["got a", "got b", "rang"]
