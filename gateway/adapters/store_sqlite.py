"""Store on SQLite: one writer that queues, readers that never wait for it.

WAL, `synchronous=FULL`: a unit of work that has left its context is on disk. The writer begins with BEGIN IMMEDIATE,
so two processes on one file exclude each other instead of failing half-way.
"""

import asyncio
import json
import logging
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import CursorResult, Executable, Table, event, func, insert, select
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.adapters import migrations
from gateway.adapters.sqlite_quick import QuickConnection
from gateway.adapters.store_mark import Mark, file_identity
from gateway.adapters.store_outbox import StoreOutbox, quarantined, resend, tidy
from gateway.adapters.store_tables import lanes, meta, outbox, quarantine
from gateway.ports.store import UPPER, Quarantined
from protocols.aio.clock import Clock, new_ulid
from protocols.command import REPLY
from protocols.envelope import DURABLE_LANES, Event, EventFactory, Hop, Lane
from protocols.ranges import Ranges
from protocols.uplink import record_parcel

logger = logging.getLogger(__name__)
BUSY_S = 10.0
READERS = 4
LONG_LANE = 512
"""Records waiting in a lane from which on new ones towards the upper tier join the backfill lane: one full window."""


@dataclass(slots=True)
class LaneState:
    """One lane of one outbox, as the database has it: changed only after a commit."""

    next_seq: int = 1
    waiting: int = 0
    settled: Ranges = field(default_factory=Ranges)


class SqliteReader:
    """One snapshot: SQLite keeps it until the connection's transaction ends."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(
        self, statement: Executable, parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement and return its buffered result."""
        return await self._connection.execute(statement, parameters)


class SqliteUnit(SqliteReader):
    """One transaction of the writer."""

    def __init__(self, connection: AsyncConnection, state: "WriterState", now: datetime) -> None:
        super().__init__(connection)
        self._state = state
        self._now = now
        self._counter_before = state.factory.next_counter
        self._owed: list[dict[str, Any]] = []
        self._next_seq: dict[tuple[str, Lane], int] = {}
        self._after: list[Callable[[], None]] = []
        self.told: list[object] = []

    @property
    def now(self) -> datetime:
        """The store's clock in UTC, fixed for the transaction."""
        return self._now

    async def put(self, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()) -> None:
        """Insert rows, or replace those whose `key` (default: primary key) is there."""
        if not rows:
            return
        await self.execute(_upsert(table, tuple(rows[0]), tuple(key)), rows)

    async def owe(
        self, peer: str, lane: Lane, event: Event, hops: Sequence[Hop] = (), *, expires_at: datetime | None = None
    ) -> None:
        """Append to the outbox towards `peer`; written at the commit."""
        arrivals = ",".join(hop.model_dump_json() for hop in hops)
        chosen = self._state.lane_for(peer, lane, event)
        seq = self.take_seq(peer, chosen)
        parcel = record_parcel(seq, event.model_dump_json(), f"[{arrivals}]")
        self.add_row(peer, chosen, seq, seq, parcel.body, void=False, expires_at=expires_at)

    def take_seq(self, peer: str, lane: Lane) -> int:
        """Return the next hop seq of a lane; it is used up only if this unit commits."""
        seq = self._next_seq.get((peer, lane)) or self._state.lanes[peer, lane].next_seq
        self._next_seq[peer, lane] = seq + 1
        return seq

    def add_row(
        self, peer: str, lane: Lane, first: int, last: int, body: str, *, void: bool, expires_at: datetime | None = None
    ) -> None:
        """Queue one outbox row for the commit."""
        values = {"peer": peer, "lane": lane.value, "seq": first, "last": last, "void": void, "body": body}
        self._owed.append({**values, "owed_at": self._now, "expires_at": expires_at})

    def tell(self, happened: object) -> None:
        """Hand a past-tense event to the bus after the commit."""
        self.told.append(happened)

    def mint(self, type_: str, data: dict[str, Any], *, subject: str | None = None, drill: bool = False) -> Event:
        """Make an event of this gateway with the next origin counter."""
        ulid = new_ulid(self._state.clock)
        return self._state.factory.mint(type_, data, now=self._now, ulid=ulid, subject=subject, drill=drill)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction is on disk, before the next writer begins."""
        self._after.append(action)

    async def flush(self) -> None:
        """Write what `owe` and `mint` collected; called once, before the commit."""
        if self._owed:
            await self.execute(insert(outbox), self._owed)
        if self._next_seq:
            rows = [
                {"peer": p, "lane": lane, "next_seq": s, "settled": "[]"} for (p, lane), s in self._next_seq.items()
            ]
            statement = upsert(lanes)
            ahead = {"next_seq": statement.excluded.next_seq}
            await self.execute(statement.on_conflict_do_update(index_elements=["peer", "lane"], set_=ahead), rows)
        if self._state.factory.next_counter != self._counter_before:
            counter = str(self._state.factory.next_counter)
            await self.execute(meta.update().where(meta.c.key == "origin_counter").values(value=counter))

    def committed(self) -> frozenset[str]:
        """Bring the memory up to date with the disk; returns the peers to whom something was added."""
        for key, seq in self._next_seq.items():
            self._state.lanes[key].next_seq = seq
        for row in self._owed:
            self._state.lanes[row["peer"], Lane(row["lane"])].waiting += 1
        for action in self._after:
            _quietly(action)
        return frozenset(row["peer"] for row in self._owed)


class WriterState:
    """What the single writer keeps in memory between units."""

    def __init__(self, clock: Clock, factory: EventFactory) -> None:
        self.clock = clock
        self.factory = factory
        self.lanes: defaultdict[tuple[str, Lane], LaneState] = defaultdict(LaneState)
        self.down: set[str] = set()
        self.lock = asyncio.Lock()
        self.writing: asyncio.Task[Any] | None = None

    def lane_for(self, peer: str, wish: Lane, event: Event) -> Lane:
        """Return the lane that a new record joins: an outage's backlog must never delay what comes after it."""
        if peer != UPPER or event.type == REPLY or wish is Lane.BACKFILL:
            return wish
        late = peer in self.down or self.lanes[peer, wish].waiting >= LONG_LANE
        return Lane.BACKFILL if late else wish


class SqliteStore:
    """The database of one gateway. Use it with `async with`; `publish` is told what happened after each commit."""

    def __init__(self, path: Path, node: str, clock: Clock, publish: Callable[[object], None]) -> None:
        self._path = path
        self._node = node
        self._clock = clock
        self._publish = publish
        self._mark = Mark(path)
        self._outboxes: dict[str, StoreOutbox] = {}
        self._epoch = ""
        self._writer: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._state: WriterState | None = None

    @property
    def epoch(self) -> str:
        """ULID of this database."""
        return self._epoch

    @property
    def node(self) -> str:
        """The gateway whose database this is."""
        return self._node

    @property
    def state(self) -> WriterState:
        """What the writer keeps in memory; for the outboxes."""
        if self._state is None:
            raise AssertionError("the store is used outside `async with`")
        return self._state

    async def __aenter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        upgraded = await asyncio.to_thread(migrations.upgrade, self._path)
        await asyncio.to_thread(_set_wal, self._path)
        self._writer = _engine(self._path, "BEGIN IMMEDIATE", size=1)
        self._reader = _engine(self._path, "BEGIN", size=READERS)
        try:
            await self._load(self._mark.open())
        except BaseException:
            await self._dispose()
            raise
        logger.info("store open", extra={"path": str(self._path), "epoch": self._epoch, "upgraded": upgraded})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._dispose()

    async def _dispose(self) -> None:
        self._mark.close()
        for engine in (self._reader, self._writer):
            if engine is not None:
                await engine.dispose()

    async def _load(self, mark: int) -> None:
        """Read identity and counters; give a new database, or an older copy of one, a new epoch.

        The origin counter goes on at the clock's milliseconds where that is higher, so that a restored database never
        gives a counter twice.
        """
        self._state = state = WriterState(self._clock, EventFactory(self._node, 1))
        floor = int(self._clock.now().timestamp() * 1000)
        identity = file_identity(self._path)
        async with self.unit() as uow:
            found = {row.key: row.value for row in await uow.execute(select(meta))}
            await self._load_lanes(uow, state)
            restored = "epoch" in found and (found["file"] != identity or mark > self._numbers_given())
            self._epoch = new_ulid(self._clock) if restored or "epoch" not in found else found["epoch"]
            counter = max(int(found.get("origin_counter", "1")), floor)
            state.factory.next_counter = counter
            values = {"epoch": self._epoch, "origin_counter": str(counter), "file": identity}
            await uow.put(meta, [{"key": key, "value": value} for key, value in values.items()])
            if restored:
                await self._forget_settled(uow)
        if restored:
            logger.warning("store is an older copy", extra={"path": str(self._path), "new_epoch": self._epoch})

    async def _load_lanes(self, uow: SqliteUnit, state: WriterState) -> None:
        for row in await uow.execute(select(lanes)):
            state.lanes[row.peer, Lane(row.lane)] = LaneState(row.next_seq, 0, Ranges(json.loads(row.settled)))
        waiting = select(outbox.c.peer, outbox.c.lane, func.count().label("rows")).where(outbox.c.settled_at.is_(None))
        for row in await uow.execute(waiting.group_by(outbox.c.peer, outbox.c.lane)):
            state.lanes[row.peer, Lane(row.lane)].waiting = row.rows

    def _numbers_given(self) -> int:
        # A lane that was only looked at stands in the memory alone: it must count nothing.
        return sum(lane.next_seq - 1 for lane in self.state.lanes.values())

    async def _forget_settled(self, uow: SqliteUnit) -> None:
        """Under a new epoch no number was ever receipted."""
        await uow.execute(lanes.update().values(settled="[]"))
        for lane in self.state.lanes.values():
            lane.settled = Ranges()

    async def renew_epoch(self) -> None:
        """Take a new epoch: a peer holds numbers that this database has not given yet, so it is an older copy."""
        fresh = new_ulid(self._clock)
        async with self.unit() as uow:
            await uow.execute(meta.update().where(meta.c.key == "epoch").values(value=fresh))
            await self._forget_settled(uow)
        self._epoch = fresh
        logger.warning("store is an older copy", extra={"path": str(self._path), "new_epoch": fresh})

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[SqliteUnit]:
        """Open a unit of work; writers queue. Cancelling is safe: either all or nothing is on disk."""
        if self._writer is None:
            raise AssertionError("the store is used outside `async with`")
        state, task = self.state, asyncio.current_task()
        if state.writing is task:
            raise AssertionError("units of work do not nest: the inner one would wait for the outer one for ever")
        async with state.lock, self._writer.connect() as connection:
            state.writing = task
            try:
                unit = SqliteUnit(connection, state, self._clock.now())
                yield unit
                await unit.flush()
                await _finish(self._commit(connection, unit))
            finally:
                state.writing = None

    async def _commit(self, connection: AsyncConnection, unit: SqliteUnit) -> None:
        await connection.commit()
        peers = unit.committed()
        if peers:
            self._mark.write(self._numbers_given())
        for happened in unit.told:
            _quietly(partial(self._publish, happened))
        for peer in peers & self._outboxes.keys():
            self._outboxes[peer].changed()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SqliteReader]:
        """Open a reader; readers do not wait for writers."""
        if self._reader is None:
            raise AssertionError("the store is used outside `async with`")
        async with self._reader.connect() as connection:
            yield SqliteReader(connection)

    def outbox(self, peer: str) -> StoreOutbox:
        """Return what is owed to `peer`; the same object for the same peer."""
        if peer not in self._outboxes:
            self._outboxes[peer] = StoreOutbox(self, peer)
        return self._outboxes[peer]

    def note_link(self, peer: str, *, up: bool) -> None:
        """Tell whether the link to `peer` is up; decides the lane of what is owed from now on."""
        (self.state.down.discard if up else self.state.down.add)(peer)

    def waiting(self) -> dict[tuple[str, Lane], int]:
        """Return the number of parcels owed per peer and lane."""
        return {key: lane.waiting for key, lane in self.state.lanes.items() if key[1] in DURABLE_LANES}

    async def quarantine(self, limit: int = 100) -> Sequence[Quarantined]:
        """Return records that peers refused, newest first."""
        async with self.reading() as reader:
            return await quarantined(reader, limit)

    async def quarantined(self) -> dict[str, int]:
        """Return how many records each peer refused that were not sent again."""
        counts = select(quarantine.c.peer, func.count().label("rows")).where(quarantine.c.resent.is_(False))
        async with self.reading() as reader:
            return {row.peer: row.rows for row in await reader.execute(counts.group_by(quarantine.c.peer))}

    def size(self) -> int:
        """Return the bytes that the database takes on the disk."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def resend(self, quarantine_id: int) -> None:
        """Owe a refused record again under a new number; raises NotFoundError, WrongMomentError if done already."""
        async with self.unit() as uow:
            await resend(uow, quarantine_id)

    async def tidy(self) -> None:
        """Withdraw what expired and drop history past its time; call it every half minute."""
        async with self.unit() as uow:
            await tidy(uow)


def _quietly(action: Callable[[], None]) -> None:
    """Run what follows a commit: it may fail, but the commit has happened and must be seen so."""
    try:
        action()
    except Exception:
        logger.exception("after the commit")


async def _finish(commit: Coroutine[Any, Any, None]) -> None:
    """Wait for a commit even while being cancelled: afterwards it is known to have happened or failed."""
    task = asyncio.ensure_future(commit)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.result()
        raise


@cache
def _upsert(table: Table, names: tuple[str, ...], key: tuple[str, ...]) -> Insert:
    """Return the statement; building it costs more than running it."""
    keys = key or tuple(column.name for column in table.primary_key)
    statement = upsert(table)
    fresh = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=fresh)


def _set_wal(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _engine(path: Path, begin: str, size: int) -> AsyncEngine:
    engine = create_async_engine(
        "sqlite+aiosqlite:///file",  # a name, so that connections are pooled as those to a file are
        async_creator=lambda: QuickConnection(path),
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_S,
    )

    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", start)
    return engine
