"""Units of work that wait for one another share a transaction, and so a wait for the disk.

Each runs alone, one after the other, and sees what those before it did. One that fails is taken back alone. None is
done before the transaction is on the disk, and where that fails all have failed. So a hundred counties that write at
the same moment wait for a slow disk once or twice and not a hundred times.
"""

import asyncio
from typing import Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.adapters.sqlite_quick import QuickConnection
from gateway.adapters.store_unit import LaneKey, LaneState, SqlUnit
from protocols.errors import StoreAwayError

MANY = 64
"""Units of one transaction at most."""


class Line:
    """The writer's connection, kept from one transaction to the next.

    Fetching one from the pool and giving it back costs as much as a small transaction. After one that failed it goes
    back all the same, so that the pool makes it good or replaces it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._held: tuple[AsyncConnection, QuickConnection] | None = None

    async def begin(self) -> tuple[AsyncConnection, QuickConnection]:
        """Begin a transaction; raises the toolkit's errors."""
        if self._held is None:
            connection = await self._engine.connect()
            driver = (await connection.get_raw_connection()).driver_connection
            if not isinstance(driver, QuickConnection):
                raise AssertionError("the engine makes connections of no other kind")
            self._held = connection, driver
        try:
            await self._held[1].begin("BEGIN IMMEDIATE")
        except BaseException:
            await self.give_back()
            raise
        return self._held

    async def commit(self) -> None:
        """Commit; raises the toolkit's errors, and then it is for `give_back` to clear up."""
        if self._held is None:
            raise AssertionError("nothing was begun")
        connection, driver = self._held
        await driver.make_durable()
        if connection.in_transaction():  # the toolkit keeps an account of its own; there is nothing left to roll back
            await connection.rollback()

    async def give_back(self) -> None:
        """Let go of the connection; what was begun is rolled back."""
        held, self._held = self._held, None
        if held is not None:
            await held[0].close()


class Batch:
    """One transaction of the writer. All but `wait` is called by whoever holds the writers' lock."""

    def __init__(self, line: Line, connection: AsyncConnection, driver: QuickConnection, version: int) -> None:
        self.connection = connection
        self.version = version
        self.lanes: dict[LaneKey, LaneState] = {}
        self.units: list[SqlUnit] = []
        self._driver = driver
        self._line = line
        self._over = asyncio.Event()
        self._error: BaseException | None = None

    @classmethod
    async def begin(cls, line: Line, version: int) -> Self:
        """Begin a transaction; raises the toolkit's errors."""
        return cls(line, *await line.begin(), version)

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

    async def commit(self) -> None:
        """Bring all of it to the disk; raises the toolkit's errors."""
        await self._line.commit()

    async def end(self, error: BaseException | None) -> None:
        """Tell those who wait how it ended."""
        try:
            if error is not None:
                await self._line.give_back()
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
