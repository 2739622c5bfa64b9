"""Store on SQLite: one writer that queues, readers that never wait for it.

WAL, `synchronous=FULL`: a unit of work that has left its context is on disk, with others in one transaction where they
waited for one another (`store_batch`). The writer begins with BEGIN IMMEDIATE, so two processes on one file exclude
each other instead of failing half-way; but one process alone may serve from it.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Table, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from typing_extensions import override

from gateway.adapters import migrations
from gateway.adapters.sqlite_quick import QuickConnection
from gateway.adapters.store_batch import Batch, Line
from gateway.adapters.store_mark import Mark, file_identity
from gateway.adapters.store_quick import JSON_COLUMNS
from gateway.adapters.store_sql import BUSY_S, READERS, SqlStore, finish
from gateway.adapters.store_unit import SqlReader, SqlUnit
from gateway.ports.store import StoreHealth
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor

logger = logging.getLogger(__name__)


class SqliteStore(SqlStore):
    """The database of one gateway. Use it with `async with`; `publish` is told what happened after each commit."""

    def __init__(self, path: Path, node: str, clock: Clock, publish: Callable[[object], None]) -> None:
        super().__init__(node, clock, publish, Mark(path.with_suffix(".mark")))
        self._path = path
        self._opened = clock.now()
        self._writer: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._line: Line | None = None
        self._batch: Batch | None = None
        """The open transaction; None while nobody has one or it is on its way to the disk."""
        self._queue = 0
        """Units that wait for their turn."""
        self._closing = False
        """Whether somebody stands in the queue who will close the open transaction."""
        self._closers = count()
        self._tasks = Supervisor("store", clock=clock)

    @property
    @override
    def place(self) -> str:
        return str(self._path)

    @property
    @override
    def sole_writer(self) -> bool:
        return True

    @property
    @override
    def health(self) -> StoreHealth:
        return StoreHealth(up=bool(self._epoch), since=self._opened)

    @override
    async def __aenter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        upgraded = await asyncio.to_thread(migrations.upgrade, self._path)
        await asyncio.to_thread(_set_wal, self._path)
        self._writer = _engine(lambda: QuickConnection(self._path, swift=True), size=1)
        self._line = Line(self._writer)
        self._reader = _engine(lambda: QuickConnection(self._path), size=READERS)
        event.listen(self._reader.sync_engine, "begin", _begin_reading)
        try:
            await self._load(self._mark.open())
        except BaseException:
            await self._dispose()
            raise
        logger.info("store open", extra={"path": str(self._path), "epoch": self._epoch, "upgraded": upgraded})
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._dispose()

    async def _dispose(self) -> None:
        if self._state is not None:
            await self._close_last()
        await self._tasks.stop()
        self._mark.close()
        if self._line is not None:
            await self._line.give_back()
        for engine in (self._reader, self._writer):
            if engine is not None:
                await engine.dispose()

    @override
    async def _identity(self, unit: SqlUnit) -> str:
        return file_identity(self._path)

    @asynccontextmanager
    @override
    async def unit(self, *, long: bool = False) -> AsyncIterator[SqlUnit]:
        state, task = self.state, asyncio.current_task()
        async with self._turn(task):
            if long:  # nobody shall wait for it who was done before
                await self._close_open()
            batch = await self._boarded()
            unit = SqlUnit(batch.connection, state, self._clock.now(), batch.lanes)
            try:
                await batch.join(long=long)
                yield unit
                await unit.flush(batch.version + 1)
                await batch.leave(unit)
            except BaseException as error:
                await finish(self._undo(batch, error))
                raise
            if long or unit.remembers or batch.full or not self._queue:
                await finish(self._close(batch))
                return
            if not self._closing:
                self._closing = True
                self._tasks.start(f"close {next(self._closers)}", self._close_last, restart=False)
        await batch.wait()

    @asynccontextmanager
    async def _turn(self, task: asyncio.Task[Any] | None) -> AsyncIterator[None]:
        state = self.state
        self.refuse_nesting(task)
        self._queue += 1
        try:
            await state.lock.acquire()
        finally:
            self._queue -= 1
        state.writing = task
        try:
            yield
        finally:
            state.writing = None
            state.lock.release()

    async def _boarded(self) -> Batch:
        if self._line is None:
            raise AssertionError("the store is used outside `async with`")
        if self._batch is None:
            self._batch = await Batch.begin(self._line, self.state.version)
        return self._batch

    async def _undo(self, batch: Batch, error: BaseException) -> None:
        if not await batch.undo(error):
            self._batch = None

    async def _close_last(self) -> None:
        """Commit once all who wait now have had their turn: the unit that they waited for may never come."""
        async with self.state.lock:
            self._closing = False
            await self._close_open()

    async def _close_open(self) -> None:
        if self._batch is not None:
            with suppress(DBAPIError):  # whoever wrote hears of it
                await finish(self._close(self._batch))

    async def _commit(self, batch: Batch) -> None:
        await batch.commit()

    async def _close(self, batch: Batch) -> None:
        self._batch = None
        try:
            await self._commit(batch)
        except BaseException as error:
            await batch.end(error)
            raise
        for unit in batch.units:
            self._committed(unit)
        await batch.end(None)

    @asynccontextmanager
    @override
    async def reading(self) -> AsyncIterator[SqlReader]:
        if self._reader is None:
            raise AssertionError("the store is used outside `async with`")
        async with self._reader.connect() as connection:
            yield SqlReader(connection)

    @override
    def watch(self, tables: Iterable[Table], action: Callable[[], None]) -> None:
        """Do nothing: nobody else serves from this file."""

    @override
    def size(self) -> int:
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())


def _set_wal(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _engine(connect: Callable[[], QuickConnection], size: int) -> AsyncEngine:
    engine = create_async_engine(
        "sqlite+aiosqlite:///file",  # a name, so that connections are pooled as those to a file are
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_S,
        **JSON_COLUMNS,
    )

    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    event.listen(engine.sync_engine, "connect", prepare)
    return engine


def _begin_reading(connection: Any) -> None:
    driver = connection.connection.driver_connection
    if not isinstance(driver, QuickConnection):
        raise AssertionError("the engine makes connections of no other kind")
    driver.queue("BEGIN")
