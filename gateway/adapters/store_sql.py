"""What the stores on SQLite and on PostgreSQL share: units of work, outboxes, and noticing an older copy.

Writers queue in both: rooms read and then write what follows from it, and nothing may come in between. A subclass says
how the queue and the connections of its database work.
"""

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Table, func, select

from gateway.adapters.store_mark import Mark
from gateway.adapters.store_outbox import StoreOutbox, quarantined, resend, tidy
from gateway.adapters.store_tables import lanes, meta, outbox, quarantine
from gateway.adapters.store_unit import LaneState, SqlReader, SqlUnit, WriterState, quietly
from gateway.ports.store import Quarantined, StoreHealth
from protocols.aio.clock import Clock, new_ulid
from protocols.envelope import DURABLE_LANES, EventFactory, Lane
from protocols.ranges import Ranges

logger = logging.getLogger(__name__)
BUSY_S = 10.0
READERS = 4


class SqlStore(ABC):
    """The database of one gateway; `publish` is told what happened after each commit."""

    def __init__(self, node: str, clock: Clock, publish: Callable[[object], None], mark: Mark) -> None:
        self._node = node
        self._clock = clock
        self._publish = publish
        self._mark = mark
        self._outboxes: dict[str, StoreOutbox] = {}
        self._epoch = ""
        self._fell_back = False
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
        """What is remembered between units; for the outboxes."""
        if self._state is None:
            raise AssertionError("the store is used outside `async with`")
        return self._state

    # what the databases do each in its way

    @property
    @abstractmethod
    def health(self) -> StoreHealth:
        """Tell whether the database is reached."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The database as a person knows it, without secrets."""

    @property
    @abstractmethod
    def sole_writer(self) -> bool:
        """Tell whether nobody else writes this database, so that the memory alone answers some questions."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def size(self) -> int:
        """Return the bytes that the database takes on the disk."""

    @abstractmethod
    def watch(self, tables: Iterable[Table], action: Callable[[], None]) -> None:
        """Call `action` after another replica changed one of `tables`."""

    @abstractmethod
    def reading(self) -> AbstractAsyncContextManager[SqlReader]:
        """Open a reader; readers do not wait for writers."""

    @abstractmethod
    async def _identity(self, unit: SqlUnit) -> str:
        """Name this very database, so that a copy of it is told apart."""

    async def _keep_house(self, unit: SqlUnit) -> None:  # noqa: B027 - SQLite needs nothing
        """Do what a database of this kind needs now and then."""

    # identity

    async def _load(self, mark: int) -> None:
        """Read identity and counters; give a new database, or an older copy of one, a new epoch.

        The origin counter goes on at the clock's milliseconds where that is higher, so that a restored database never
        gives a counter twice.
        """
        self._state = state = WriterState(self._clock, EventFactory(self._node, 1))
        floor = int(self._clock.now().timestamp() * 1000)
        async with self.unit() as uow:
            identity = await self._identity(uow)
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
            await self._keep_house(uow)
        if restored:
            self._mark.write(self._numbers_given())
            logger.warning("store is an older copy", extra={"path": self.place, "new_epoch": self._epoch})

    async def _load_lanes(self, uow: SqlUnit, state: WriterState) -> None:
        for row in await uow.execute(select(lanes)):
            state.lanes[row.peer, Lane(row.lane)] = LaneState(row.next_seq, 0, Ranges(json.loads(row.settled)))
        waiting = select(outbox.c.peer, outbox.c.lane, func.count().label("rows")).where(outbox.c.settled_at.is_(None))
        for row in await uow.execute(waiting.group_by(outbox.c.peer, outbox.c.lane)):
            state.lanes[row.peer, Lane(row.lane)].waiting = row.rows

    def _numbers_given(self) -> int:
        # A lane that was only looked at stands in the memory alone: it must count nothing.
        return sum(lane.next_seq - 1 for lane in self.state.lanes.values())

    async def _forget_settled(self, uow: SqlUnit) -> None:
        """Under a new epoch no number was ever receipted."""
        for peer, lane in list(self.state.lanes):
            uow.lane(peer, lane).settled = Ranges()

    async def renew(self, uow: SqlUnit) -> None:
        """Take a new epoch: somebody holds numbers that this database has not given yet, so it is an older copy."""
        fresh = new_ulid(self._clock)
        await uow.execute(meta.update().where(meta.c.key == "epoch").values(value=fresh))
        await self._forget_settled(uow)

        def remember() -> None:
            self._epoch, self._fell_back = fresh, False
            logger.warning("store is an older copy", extra={"path": self.place, "new_epoch": fresh})

        uow.after_commit(remember)

    # units of work

    @abstractmethod
    def unit(self, *, long: bool = False) -> AbstractAsyncContextManager[SqlUnit]:
        """Open a unit of work; writers queue. Cancelling is safe: either all or nothing is on disk."""

    def refuse_nesting(self, task: asyncio.Task[Any] | None) -> None:
        """Raise where a task that has a unit asks for another."""
        if self.state.writing is task:
            raise AssertionError("units of work do not nest: the inner one would wait for the outer one for ever")

    def _committed(self, unit: SqlUnit) -> None:
        """Remember what is on disk now, then tell of it."""
        if unit.written:
            self.state.version = unit.version
        unit.committed()
        if unit.owed:
            self._mark.write(self._numbers_given())
            self._remember(unit)
        for happened in unit.told:
            quietly(partial(self._publish, happened))
        self._wake(unit.peers)

    def _remember(self, unit: SqlUnit) -> None:
        """Spare the outboxes the reading of what was just written."""
        if not self.sole_writer:
            return
        for peer in unit.peers & self._outboxes.keys():
            self._outboxes[peer].remember([row for row in unit.owed if row["peer"] == peer])

    def _wake(self, peers: Iterable[str]) -> None:
        for peer in set(peers) & self._outboxes.keys():
            self._outboxes[peer].changed()

    # what is owed

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

    async def quarantined(self) -> Mapping[str, int]:
        """Return how many records each peer refused that were not sent again."""
        counts = select(quarantine.c.peer, func.count().label("rows")).where(quarantine.c.resent.is_(False))
        async with self.reading() as reader:
            return {row.peer: row.rows for row in await reader.execute(counts.group_by(quarantine.c.peer))}

    async def resend(self, quarantine_id: int) -> None:
        """Owe a refused record again under a new number; raises NotFoundError, WrongMomentError if done already."""
        async with self.unit() as uow:
            await resend(uow, quarantine_id)

    async def tidy(self) -> None:
        """Withdraw what expired and drop history past its time; call it every half minute."""
        async with self.unit(long=True) as uow:
            await tidy(uow)
            await self._keep_house(uow)


async def finish(commit: Coroutine[Any, Any, None]) -> None:
    """Wait for a commit or a rollback even while being cancelled: afterwards it has happened, or is known to fail."""
    task = asyncio.ensure_future(commit)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.result()
        raise
