"""Units of work that wait for one another share a transaction, and so a wait for the disk.

Each runs alone, one after the other, and sees what those before it did. One that fails is taken back alone. None is
done before the transaction is on the disk, and where that fails all have failed. So a hundred counties that write at
the same moment wait for a slow disk once or twice and not a hundred times.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.adapters.sqlite_quick import QuickConnection
from gateway.adapters.store_unit import LaneKey, LaneState, SqlUnit
from protocols.errors import StoreAwayError

MANY = 64
"""Units of one transaction at most."""


class Batch:
    """One transaction of the writer. All but `wait` is called by whoever holds the writers' lock."""

    def __init__(
        self, connection: AsyncConnection, driver: QuickConnection, stack: AsyncExitStack, version: int
    ) -> None:
        self.connection = connection
        self.version = version
        self.lanes: dict[LaneKey, LaneState] = {}
        self.units: list[SqlUnit] = []
        self._driver = driver
        self._stack = stack
        self._over = asyncio.Event()
        self._error: BaseException | None = None

    @classmethod
    async def begin(cls, engine: AsyncEngine, version: int) -> Self:
        """Begin a transaction; raises the toolkit's errors."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(engine.connect())
            driver = (await connection.get_raw_connection()).driver_connection
            if not isinstance(driver, QuickConnection):
                raise AssertionError("the engine makes connections of no other kind")
            await connection.begin()
            await driver.begin("BEGIN IMMEDIATE")
            return cls(connection, driver, stack.pop_all(), version)
        raise AssertionError("nothing above swallows an error")

    @property
    def full(self) -> bool:
        """Tell whether enough units share it."""
        return len(self.units) >= MANY

    async def join(self, *, long: bool) -> None:
        """Let a unit begin; `long` as `Store.unit` has it."""
        self._driver.long = long
        if self.units:
            await self._driver.save()

    async def leave(self, unit: SqlUnit) -> None:
        """Take a unit that is complete; raises the toolkit's errors where one of its writes fails only now."""
        await self._driver.settle()
        if self.units:
            await self._driver.keep()
        self.units.append(unit)
        self.lanes |= unit.lanes
        if unit.written:
            self.version = unit.version

    async def undo(self, error: BaseException) -> bool:
        """Take back the unit that failed; False where the whole transaction is over, and all its units with it."""
        if self.units and await self._driver.undo():
            return True
        known = isinstance(error, DBAPIError | StoreAwayError)
        await self.end(error if known else StoreAwayError("the database gave up a transaction; do it again"))
        return False

    async def end(self, error: BaseException | None) -> None:
        """Let go of the connection, and tell those who wait how it ended."""
        try:
            await self._stack.aclose()
        finally:
            self._error = error
            self._over.set()

    async def wait(self) -> None:
        """Wait until it is known how the transaction ended, even while being cancelled; raises what it failed by."""
        cancelled: asyncio.CancelledError | None = None
        while not self._over.is_set():
            try:
                await self._over.wait()
            except asyncio.CancelledError as error:
                cancelled = error
        if self._error is not None:
            raise self._error
        if cancelled is not None:
            raise cancelled
