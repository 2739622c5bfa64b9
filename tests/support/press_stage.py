"""A city that publishes roll calls and a county that hears of it, on real stores joined by links of paper."""

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, select

from gateway.adapters.store_sqlite import SqliteStore
from gateway.metrics import Metrics
from gateway.rollcall.press.inbox import Inbox
from gateway.rollcall.press.needs import PressNeeds
from gateway.rollcall.press.service import Press
from gateway.rollcall.records import PointRecord, RollCall, RollCallRecord
from gateway.rollcall.tables import POINTS, ROLL_CALLS
from protocols.aio.clock import ManualClock, new_ulid
from protocols.command import CommandName
from protocols.errors import LinkError, NotFoundError
from protocols.rollcall import PointState, RollCallKind, SessionState
from protocols.tiers import NANTONG, CentreTable
from tests.support.databases import at_newest_schema
from tests.support.reports_stage import Came, Post, Wire

TABLE = CentreTable(NANTONG)
CITY, COUNTY, BOX_ONLY = "320600", "320623", "320612"


@dataclass(frozen=True)
class Place:
    code: str
    table: CentreTable = TABLE

    def own(self):
        return self.table[self.code]


class OneGateway(Wire):
    """Only 如东 has a gateway of its own."""

    async def owe_command(self, uow, target, name, args, *, within_s):
        if target != COUNTY:
            raise LinkError(f"no way leads to {target}")
        return await super().owe_command(uow, target, name, args, within_s=within_s)


class Shelf:
    """Roll calls as the room keeps them."""

    def __init__(self, store):
        self.store = store

    async def get(self, roll_call_id):
        async with self.store.reading() as reader:
            mine = select(ROLL_CALLS).where(ROLL_CALLS.c.id == roll_call_id)
            head = (await reader.execute(mine)).mappings().first()
            if head is None:
                raise NotFoundError(f"no roll call {roll_call_id}")
            rows = select(POINTS).where(POINTS.c.roll_call_id == roll_call_id).order_by(POINTS.c.number)
            points = tuple(PointRecord.read(row) for row in (await reader.execute(rows)).mappings().all())
        return RollCall(RollCallRecord.read(head), points)


@dataclass
class Office:
    store: SqliteStore
    press: Press
    inbox: Inbox


@dataclass
class Offices:
    city: Office
    county: Office
    post: Post
    clock: ManualClock

    async def hold(self, *points: PointRecord, by: str = "zhang", drill: bool = False, kind: str = "daily") -> str:
        """Put a roll call that has ended on the city's shelf; returns its id."""
        now, id_ = self.clock.now(), new_ulid(self.clock)
        record = RollCallRecord(id_, RollCallKind(kind), SessionState.REVIEWING, by, now, now, drill=drill)
        async with self.city.store.unit() as uow:
            await uow.execute(insert(ROLL_CALLS), record.row())
            rows = [point.row() | {"roll_call_id": id_} for point in points or self.usual()]
            await uow.execute(insert(POINTS), rows)
        return id_

    def usual(self) -> tuple[PointRecord, ...]:
        """One county there, one not."""
        now = self.clock.now()
        answered = now + timedelta(seconds=3)
        there = PointRecord("", COUNTY, 1, "如东县", "room", f"{COUNTY}-box", PointState.PASSED, score=96.0)
        there.rung_at, there.answered_at, there.answered_by = now, answered, "值班员"
        return there, PointRecord("", BOX_ONLY, 2, "通州区", "room", f"{BOX_ONLY}-box", PointState.ABSENT, score=0.0)

    async def down(self) -> list[str]:
        """Carry what the city says to the county, each twice; returns what it was."""
        waiting = list(self.post.down)
        self.post.down.clear()
        take = {
            CommandName.ROLLCALL_RESULT: self.county.inbox.on_result,
            CommandName.ROLLCALL_BULLETIN: self.county.inbox.on_bulletin,
        }
        for command in waiting:
            for _ in range(2):
                await take[CommandName(command.name)](command)
        return [command.name for command in waiting]

    async def up(self) -> int:
        """Carry what the county says to the city, each twice; returns how many."""
        waiting = list(self.post.up)
        self.post.up.clear()
        for event in waiting:
            for _ in range(2):
                self.city.press.check(event)
                async with self.city.store.unit() as uow:
                    await self.city.press.apply(uow, [Came(event, uow.now)])
        return len(waiting)


@contextlib.asynccontextmanager
async def offices(folder: Path, clock: ManualClock):
    """Yield both."""
    post, made = Post(clock), []
    async with contextlib.AsyncExitStack() as stack:
        for code in (CITY, COUNTY):
            store = SqliteStore(at_newest_schema(folder / f"{code}.db"), code, clock, lambda _: None)
            await stack.enter_async_context(store)
            needs = PressNeeds(store, OneGateway(post, code), Place(code), Shelf(store), clock, Metrics(), "通应急点")
            made.append(Office(store, Press(needs), Inbox(needs)))
        yield Offices(*made, post, clock)
