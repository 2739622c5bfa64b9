"""A clock that no load can hurry: time passes only once what was begun before is on the disk."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from protocols.aio.clock import ManualClock, SystemClock

STEP_S: Final = 0.01
TURNS: Final = 3
"""So often everybody may write and read the answer before time goes on."""


class PacedClock(ManualClock):
    """The manual clock, moved by itself in small steps, at most as fast as the machine's.

    A room that waits for its own store, decoder or neighbour loses no time by that, so a limit of a second is a limit
    of a second on a machine that has ten other things to do.
    """

    def __init__(self) -> None:
        super().__init__(SystemClock().now())

    @asynccontextmanager
    async def running(self, settled: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Let time pass inside; `settled` returns once what was queued before it is done."""
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(self._flow(settled), name="paced clock")
            yield
            flow.cancel()

    async def _flow(self, settled: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            for _ in range(TURNS):
                await settled()
            await self.advance(STEP_S)
