"""Store on PostgreSQL: several replicas of one gateway write to one database.

**The row `version` of `store_meta` is the pen**: each unit of work locks it first, so writers queue over all replicas
as they do over the tasks of one, and what a replica remembers is true while it holds the pen. A unit that wrote adds
one to it; whoever finds a higher number reads again what the others changed, and a lower one is an older copy.

A connection that breaks during a commit leaves open whether the commit happened. It is never guessed: the next unit
asks the server (`pg_xact_status`, PostgreSQL 15, 9.26.7) before it begins; what should follow a commit follows then.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from asyncpg.exceptions._base import InternalClientError
from sqlalchemy import Table, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typing_extensions import override

from gateway.adapters import migrations
from gateway.adapters.store_line import (
    BUSY,
    BUSY_S,
    CONNECTING,
    WRONG,
    Heard,
    Line,
    first_line,
    lost,
    make_engine,
    sqlstate,
)
from gateway.adapters.store_mark import Mark
from gateway.adapters.store_months import make_months
from gateway.adapters.store_sql import READERS, SqlStore, finish
from gateway.adapters.store_tables import lanes, meta
from gateway.adapters.store_unit import ANY_TABLE, LaneState, SqlReader, SqlUnit, quietly
from gateway.ports.store import StoreHealth
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.tasks import Supervisor
from protocols.envelope import Lane
from protocols.errors import ConfigError, StoreAwayError
from protocols.ranges import Ranges

logger = logging.getLogger(__name__)
CHANNEL = "silian_store"
PEN = select(meta.c.value).where(meta.c.key == "version").with_for_update()
MIGRATING = 0x5111A4
"""Key of the advisory lock under which one replica at a time brings the schema up to date."""
START_S = 30.0
"""How long a gateway that starts waits for its database."""
NOTICE_LIMIT = 7000
"""Bytes of a notice; PostgreSQL takes less than 8,000 (NOTIFY)."""
SETTINGS = {
    "application_name": "silian",
    "timezone": "UTC",
    "synchronous_commit": "on",
    "lock_timeout": str(int(BUSY_S * 1000)),
    "idle_in_transaction_session_timeout": str(int(BUSY_S * 800)),
}
"""A replica that hangs inside a unit loses the pen before the others stop waiting for it; `synchronous_commit` is a
promise, no choice."""
IDENTITY = text(
    "SELECT system_identifier::text || ':' || (SELECT oid FROM pg_database WHERE datname = current_database())::text "
    "|| ':' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()"
)
"""Cluster, database and timeline: a restored or promoted cluster counts on another timeline."""


class PostgresStore(SqlStore):
    """The database that replicas of one gateway share. Use it with `async with`; `publish` hears of own commits.

    `mark` is a file of this replica's own. Raises ConfigError where the database cannot be used.
    """

    def __init__(
        self,
        url: URL,
        node: str,
        clock: Clock,
        publish: Callable[[object], None],
        mark: Path,
        *,
        tls: SSLContext | None = None,
    ) -> None:
        super().__init__(node, clock, publish, Mark(mark))
        self._url = url
        self._tls = tls
        self._me = new_ulid(clock)
        self._writer: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._tasks = Supervisor("store", clock=clock)
        self._open: WeakSet[Any] = WeakSet()
        self._line = Line(url, tls, CHANNEL, Heard(self._noticed, self._returned, self._cut), clock)
        self._watched: list[tuple[frozenset[str], Callable[[], None]]] = []
        self._doubtful: tuple[str, SqlUnit] | None = None
        self._pen = 0
        self._size = 0

    @property
    @override
    def place(self) -> str:
        host = self._url.query.get("host") or self._url.host or ""
        port = f":{self._url.port}" if self._url.port else ""
        return f"postgresql://{host}{port}/{self._url.database}"

    @property
    @override
    def sole_writer(self) -> bool:
        return False

    @property
    @override
    def health(self) -> StoreHealth:
        return self._line.health

    @override
    async def __aenter__(self) -> Self:
        self._writer = make_engine(self._url, self._tls, 1, SETTINGS, self._open)
        self._reader = make_engine(self._url, self._tls, READERS, SETTINGS, self._open).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        try:
            upgraded = await self._first_contact()
            await self._load(self._mark.open())
            self._tasks.start("line", self._line.run)
            await self._line.listening(START_S)
        except BaseException:
            await self._dispose()
            raise
        logger.info("store open", extra={"path": self.place, "epoch": self._epoch, "upgraded": upgraded})
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._dispose()

    async def _dispose(self) -> None:
        await self._tasks.stop()
        self._mark.close()
        for engine in (self._reader, self._writer):
            if engine is not None:
                await engine.dispose()

    async def _first_contact(self) -> bool:
        """Wait for the database, and bring its schema up to date; tells whether anything was to be done."""
        until = self._clock.monotonic() + START_S
        while True:
            try:
                return await self._migrate()
            except StoreAwayError as error:
                wrong = (sqlstate(error.__cause__ or error) or "").startswith(WRONG)
                if wrong or self._clock.monotonic() > until:
                    raise ConfigError(f"store.url: {error}; start the database, or correct store.url") from error
                await self._clock.sleep(1.0)
            except DBAPIError as error:
                raise ConfigError(f"store.url: {self.place} cannot be used: {first_line(error)}") from error

    async def _migrate(self) -> bool:
        async with self._connected(self._writer) as connection:
            encoding = await connection.scalar(text("SHOW server_encoding"))
            if encoding != "UTF8":
                raise ConfigError(f"store.url: the database is encoded in {encoding}; make it with ENCODING 'UTF8'")
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
            upgraded = await connection.run_sync(migrations.upgrade_connection, self.place)
            await connection.commit()
            return upgraded

    # connections

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine | None) -> AsyncIterator[AsyncConnection]:
        """Give a connection; a broken line is a StoreAwayError, here and in what is done with it."""
        if engine is None:
            raise AssertionError("the store is used outside `async with`")
        try:
            connection = await engine.connect()
        except PoolTimeoutError as error:
            raise StoreAwayError(f"the database {self.place} is busy; all connections are in use") from error
        except CONNECTING as error:
            raise self._away(error) from error
        try:
            yield connection
        except (DBAPIError, InternalClientError) as error:
            if lost(error):
                raise self._away(error) from error
            if sqlstate(error) == BUSY:
                raise StoreAwayError(f"the database {self.place} is busy; another replica holds it") from error
            raise
        finally:
            await connection.close()

    def _cut(self) -> None:
        """Break all connections: the server answers no more, and what waits for it must not wait for the kernel."""
        for connection in list(self._open):
            connection.terminate()

    def _away(self, error: BaseException) -> StoreAwayError:
        self._line.broke(error)
        return StoreAwayError(f"the database {self.place} is away: {first_line(error)}")

    @asynccontextmanager
    @override
    async def unit(self, *, long: bool = False) -> AsyncIterator[SqlUnit]:
        state, task = self.state, asyncio.current_task()
        self.refuse_nesting(task)
        async with state.lock:
            state.writing = task
            try:
                async with self._writing() as connection:
                    await self._catch_up(SqlReader(connection))
                    unit = SqlUnit(connection, state, self._clock.now())
                    if self._fell_back:
                        await self.renew(unit)
                    yield unit
                    await unit.flush(state.version + 1)
                    await self._seal(unit)
                    await finish(self._commit(connection, unit))
            finally:
                state.writing = None

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        for last in (False, True):
            async with self._connected(self._writer) as connection:
                try:
                    self._pen = int((await connection.execute(PEN)).scalar_one())
                except (DBAPIError, InternalClientError) as error:
                    if last or not lost(error):
                        raise
                    await connection.invalidate()
                    continue  # nothing has happened yet: a connection that broke while it lay there is replaced
                yield connection
                return

    @asynccontextmanager
    @override
    async def reading(self) -> AsyncIterator[SqlReader]:
        async with self._connected(self._reader) as connection:
            yield SqlReader(connection)

    @override
    async def _identity(self, unit: SqlUnit) -> str:
        return str((await unit.execute(IDENTITY)).scalar_one())

    # the pen

    async def _catch_up(self, reader: SqlReader) -> None:
        """Bring the memory up to date with what others wrote; sets `_fell_back` where this is an older copy."""
        state, version = self.state, self._pen
        if self._doubtful is not None:
            await self._resolve(reader)
        if version == state.version:
            return
        # It stays noted until a unit that renews the epoch has committed: this one may fail.
        self._fell_back = self._fell_back or version < state.version
        await self._reread(reader, since=0 if version < state.version else state.version)
        state.version = version

    async def _reread(self, reader: SqlReader, since: int) -> None:
        state = self.state
        found = {row.key: row.value for row in await reader.execute(select(meta))}
        self._epoch = found.get("epoch", self._epoch)
        state.factory.next_counter = max(state.factory.next_counter, int(found.get("origin_counter", "1")))
        if since == 0:
            state.lanes.clear()
        for row in await reader.execute(select(lanes).where(lanes.c.version > since)):
            settled = Ranges(json.loads(row.settled))
            state.lanes[row.peer, Lane(row.lane)] = LaneState(row.next_seq, row.waiting, settled)

    async def _seal(self, unit: SqlUnit) -> None:
        """Write what ends this unit."""
        if not unit.written:
            return
        notice = json.dumps({"by": self._me, "peers": sorted(unit.peers), "tables": sorted(unit.written)})
        if len(notice) > NOTICE_LIMIT:
            notice = json.dumps({"by": self._me, "peers": [], "tables": [ANY_TABLE]})
        told = func.pg_notify(CHANNEL, notice)
        sealing = meta.update().where(meta.c.key == "version").values(value=str(unit.version))
        row = (await unit.execute(sealing.returning(text("pg_current_xact_id()::text AS xact"), told))).one()
        self._doubtful = (row.xact, unit)

    async def _commit(self, connection: AsyncConnection, unit: SqlUnit) -> None:
        await connection.commit()
        self._doubtful = None
        self._line.works()
        self._committed(unit)

    async def _resolve(self, reader: SqlReader) -> None:
        """Learn whether the commit during which the line broke happened, and let follow what follows a commit."""
        if self._doubtful is None:
            raise AssertionError("asked for only where a commit is in doubt")
        xact, unit = self._doubtful
        self._doubtful = None
        ask = text("SELECT pg_xact_status(CAST(CAST(:xact AS text) AS xid8))")
        happened = (await reader.execute(ask, {"xact": xact})).scalar_one() == "committed"
        logger.warning("commit in doubt", extra={"path": self.place, "happened": happened})
        if happened:
            self._committed(unit)

    # the other replicas

    @override
    def watch(self, tables: Iterable[Table], action: Callable[[], None]) -> None:
        self._watched.append((frozenset(table.name for table in tables), action))

    async def _noticed(self, payload: str) -> None:
        """Another replica committed: read what it changed and wake who waits for it."""
        notice = json.loads(payload)
        if notice["by"] == self._me:
            return
        await self._refresh()
        everything = ANY_TABLE in notice["tables"]
        self._wake(self._outboxes if everything else notice["peers"])
        self._tell_watchers(None if everything else frozenset(notice["tables"]))

    async def _returned(self) -> None:
        """Look whether it is the same database, and wake everybody: notices may have been missed."""
        async with self.unit() as uow:
            identity = await self._identity(uow)
            known = (await uow.execute(select(meta.c.value).where(meta.c.key == "file"))).scalar_one()
            if identity != known:
                await uow.put(meta, [{"key": "file", "value": identity}])
                await self.renew(uow)
        self._wake(self._outboxes)
        self._tell_watchers(None)

    async def _refresh(self) -> None:
        state = self.state
        async with state.lock, self.reading() as reader:
            found = select(meta.c.value).where(meta.c.key == "version")
            version = int((await reader.execute(found)).scalar_one())
            if version > state.version and self._doubtful is None:
                await self._reread(reader, since=state.version)
                state.version = version

    def _tell_watchers(self, tables: frozenset[str] | None) -> None:
        for watched, action in self._watched:
            if tables is None or watched & tables:
                quietly(action)

    # house-keeping

    @override
    async def _keep_house(self, unit: SqlUnit) -> None:
        await make_months(unit, unit.now)
        self._size = int((await unit.execute(select(func.pg_database_size(func.current_database())))).scalar_one())

    @override
    def size(self) -> int:
        return self._size
