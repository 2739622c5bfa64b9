"""The one clock. Everything that needs time is given a `Clock`; tests give a `ManualClock` and step it."""

import asyncio
import heapq
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from protocols.ids import ulid


class Clock(Protocol):
    """Wall time, monotonic time and sleeping, together so that a test can step all three."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back and ignore every step of the wall clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; cancelling is safe."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Wait for `event`, at most `seconds` (None: for ever); return whether it is set. Cancelling is safe."""
        ...


class SystemClock:
    """The machine's clock. Monotonic time counts suspended time too (CLOCK_BOOTTIME), as deadlines of people do."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since boot."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Wait; cancelling is safe."""
        await asyncio.sleep(max(0.0, seconds))

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Wait for `event`, at most `seconds`; return whether it is set."""
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(None if seconds is None else max(0.0, seconds)):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True


class ManualClock:
    """A clock that stands still until a test moves it; `step` moves the wall alone, as a wrong clock does."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._wall = start
        self._mono = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._count = 0

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return self._wall

    def monotonic(self) -> float:
        """Return the seconds advanced so far, plus a constant."""
        return self._mono

    def step(self, seconds: float) -> None:
        """Set the wall clock off by `seconds`; nobody wakes."""
        self._wall += timedelta(seconds=seconds)

    async def advance(self, seconds: float) -> None:
        """Let time pass: sleepers wake in order of their time, each running until it waits again."""
        await _let_run()
        end = self._mono + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self._pass_until(max(at, self._mono))
            woken.set()
            await _let_run()
        self._pass_until(end)
        await _let_run()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced far enough."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._alarm(seconds).wait()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Wait for `event`, at most `seconds` of this clock; return whether it is set."""
        if event.is_set() or seconds is None:
            return await event.wait()
        if seconds <= 0:
            return event.is_set()
        bell = self._alarm(seconds)
        async with asyncio.TaskGroup() as group:
            sides = [group.create_task(event.wait(), name="clock.event"), group.create_task(bell.wait(), name="clock")]
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            for side in sides:
                side.cancel()
        return event.is_set()

    def _alarm(self, seconds: float) -> asyncio.Event:
        bell = asyncio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (self._mono + seconds, self._count, bell))
        return bell

    def _pass_until(self, mono: float) -> None:
        self._wall += timedelta(seconds=mono - self._mono)
        self._mono = mono


async def _let_run() -> None:
    """Let everybody who can run do so until they wait for time."""
    for _ in range(10):
        await asyncio.sleep(0)


def new_ulid(clock: Clock) -> str:
    """Return a fresh ULID with the wall time of `clock`."""
    return ulid(int(clock.now().timestamp() * 1000), os.urandom(10))
