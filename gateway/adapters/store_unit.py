"""One unit of work on a relational database, and what its store remembers between units."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Executable, Table, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase
from typing_extensions import override

from gateway.adapters.store_quick import Statements, hand_of, statement_of
from gateway.adapters.store_tables import lanes, meta, outbox
from gateway.ports.store import UPPER, Wanted
from protocols.aio.clock import Clock, new_ulid
from protocols.command import REPLY
from protocols.envelope import Event, EventFactory, Hop, Lane
from protocols.ranges import Ranges
from protocols.uplink import record_parcel

logger = logging.getLogger(__name__)
LONG_LANE = 512
"""Records waiting in a lane from which on new ones towards the upper tier join the backfill lane: half a window."""
LaneKey = tuple[str, Lane]
ANY_TABLE = "*"
"""Stands among the tables written for a statement that does not say which one it writes."""


@dataclass(slots=True)
class LaneState:
    """One lane of one outbox. `settled` is replaced, never changed in place: units share it with the memory."""

    next_seq: int = 1
    waiting: int = 0
    settled: Ranges = field(default_factory=Ranges)


class WriterState:
    """What a store remembers between units: exactly what its database holds, as of `version`."""

    def __init__(self, clock: Clock, factory: EventFactory) -> None:
        self.clock = clock
        self.factory = factory
        self.lanes: defaultdict[LaneKey, LaneState] = defaultdict(LaneState)
        self.down: set[str] = set()
        self.lock = asyncio.Lock()
        self.writing: asyncio.Task[Any] | None = None
        self.version = 0
        self._statements: Statements | None = None

    def statements(self, connection: AsyncConnection) -> Statements:
        """Return the quick statements of this database."""
        if self._statements is None:
            self._statements = Statements(connection.dialect)
        return self._statements

    def lane_for(self, peer: str, wish: Lane, event: Event, waiting: int) -> Lane:
        """Return the lane that a new record joins: an outage's backlog must never delay what comes after it."""
        if peer != UPPER or event.type == REPLY or wish is Lane.BACKFILL:
            return wish
        return Lane.BACKFILL if peer in self.down or waiting >= LONG_LANE else wish


class SqlReader:
    """One snapshot: the database keeps it until the connection's transaction ends."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(
        self, statement: Executable, parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement and return its buffered result."""
        return await self._connection.execute(statement, parameters)


class SqlUnit(SqlReader):
    """One transaction of the writer, or a part of it; `lanes` are those changed by the parts before."""

    def __init__(
        self,
        connection: AsyncConnection,
        state: WriterState,
        now: datetime,
        lanes: Mapping[LaneKey, LaneState] | None = None,
    ) -> None:
        super().__init__(connection)
        self._dialect = connection.dialect.name
        self._hand = hand_of(connection)
        self._statements = state.statements(connection)
        self._state = state
        self._now = now
        self._counter_before = state.factory.next_counter
        self.owed: list[dict[str, Any]] = []
        """Rows of the outbox that this unit adds."""
        self._earlier = lanes or {}
        self.lanes: dict[LaneKey, LaneState] = {}
        self._after: list[Callable[[], None]] = []
        self.told: list[object] = []
        self.written: set[str] = set()
        self.version = 0

    @property
    def now(self) -> datetime:
        """The store's clock in UTC, fixed for the transaction."""
        return self._now

    @override
    async def execute(
        self, statement: Executable, parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement, note which table it writes, and return its buffered result."""
        if isinstance(statement, UpdateBase):
            table = statement.table
            self.written.add(table.name if isinstance(table, Table) else ANY_TABLE)
        elif isinstance(statement, TextClause) and not statement.text.startswith("SELECT"):
            self.written.add(ANY_TABLE)
        return await super().execute(statement, parameters)

    async def add(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; see UnitOfWork."""
        await self._write(table, rows, None)

    async def put(self, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()) -> None:
        """Insert rows, or replace those whose `key` (default: primary key) is there; see UnitOfWork."""
        await self._write(table, rows, tuple(key))

    async def _write(self, table: Table, rows: Sequence[Mapping[str, Any]], key: tuple[str, ...] | None) -> None:
        if not rows:
            return
        names = tuple(rows[0])
        writing = self._statements.writing(table, names, key)
        if writing is None:
            await self.execute(statement_of(self._dialect, table, names, key), rows)
            return
        self.written.add(table.name)
        await self._hand.write(writing.sql, writing.rows(rows))

    async def find(self, *wanted: Wanted) -> list[list[Any]]:
        """Return the rows that each wish names; see UnitOfWork."""
        queries = self._statements.queries(wanted)
        found: list[list[Any]] = [[] for _ in wanted]
        if queries:
            answers = await self._hand.fetch([query for _, _, query in queries])
            for (number, finding, _), rows in zip(queries, answers, strict=True):
                found[number] += finding.rows(rows)
        return found

    async def owe(
        self, peer: str, lane: Lane, event: Event, hops: Sequence[Hop] = (), *, expires_at: datetime | None = None
    ) -> None:
        """Append to the outbox towards `peer`; written at the commit."""
        arrivals = ",".join(hop.model_dump_json() for hop in hops)
        chosen = self._state.lane_for(peer, lane, event, self._before(peer, lane).waiting)
        seq = self.take_seq(peer, chosen)
        parcel = record_parcel(seq, event.model_dump_json(), f"[{arrivals}]")
        self.add_row(peer, chosen, seq, seq, parcel.body, void=False, expires_at=expires_at)

    def lane(self, peer: str, lane: Lane) -> LaneState:
        """Return this unit's own copy of a lane: written at the commit, remembered after it."""
        if (peer, lane) not in self.lanes:
            self.lanes[peer, lane] = replace(self._before(peer, lane))
        return self.lanes[peer, lane]

    def _before(self, peer: str, lane: Lane) -> LaneState:
        return self._earlier.get((peer, lane)) or self._state.lanes[peer, lane]

    @property
    def remembers(self) -> bool:
        """Tell whether something in memory follows the commit, which the next unit must find done."""
        return bool(self._after)

    def take_seq(self, peer: str, lane: Lane) -> int:
        """Return the next hop seq of a lane; it is used up only if this unit commits."""
        mine = self.lane(peer, lane)
        mine.next_seq += 1
        return mine.next_seq - 1

    def add_row(
        self, peer: str, lane: Lane, first: int, last: int, body: str, *, void: bool, expires_at: datetime | None = None
    ) -> None:
        """Queue one outbox row for the commit."""
        self.lane(peer, lane).waiting += 1
        values = {"peer": peer, "lane": lane.value, "seq": first, "last": last, "void": void, "body": body}
        self.owed.append({**values, "owed_at": self._now, "expires_at": expires_at})

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

    @property
    def peers(self) -> frozenset[str]:
        """The peers to whom this unit adds something."""
        return frozenset(row["peer"] for row in self.owed)

    async def flush(self, version: int) -> None:
        """Write what `owe` and `mint` collected; called once, before the commit that makes `version` true."""
        self.version = version
        if self.owed:
            await self.add(outbox, self.owed)
        if self.lanes:
            await self.put(lanes, [_lane_row(key, lane, version) for key, lane in self.lanes.items()])
        if self._state.factory.next_counter != self._counter_before:
            counter = str(self._state.factory.next_counter)
            await self.execute(meta.update().where(meta.c.key == "origin_counter").values(value=counter))

    def committed(self) -> None:
        """Bring the memory up to date with the disk."""
        self._state.lanes.update(self.lanes)
        for action in self._after:
            quietly(action)


def _lane_row(key: LaneKey, lane: LaneState, version: int) -> dict[str, Any]:
    settled = json.dumps(lane.settled.to_list())
    values = {"next_seq": lane.next_seq, "waiting": lane.waiting, "settled": settled, "version": version}
    return {"peer": key[0], "lane": key[1].value, **values}


def quietly(action: Callable[[], None]) -> None:
    """Run what follows a commit: it may fail, but the commit has happened and must be seen so."""
    try:
        action()
    except Exception:
        logger.exception("after the commit")
