"""Orders rooms of several tiers on real stores, with real letters and timers, joined by links of paper."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from gateway.adapters.store_sqlite import SqliteStore
from gateway.escalation.errands import Errands
from gateway.escalation.letters import Letters
from gateway.escalation.tables import timers
from gateway.metrics import Metrics
from gateway.orders.office import TIMER, OrderNeeds, OrderOffice
from gateway.orders.service import OrderContent
from gateway.settings import OrdersSection
from gateway.web.keys import load_or_make_key
from protocols.aio.clock import ManualClock, new_ulid
from protocols.command import Command
from protocols.duty import DutyCurrent, DutyRole, DutyShift, OnDuty
from protocols.errors import LinkError, SilianError
from protocols.order import OrderType, Urgency
from protocols.tiers import NANTONG, Centre, CentreTable
from tests.support.databases import at_newest_schema

PROVINCE, CITY, COUNTY, BOX_ONLY = "320000", "320600", "320623", "320612"
TABLE = CentreTable(NANTONG)
CONTENT = OrderContent(
    type=OrderType.PREVENT,
    urgency=Urgency.FLASH,
    title="转移低洼地区群众",
    content="立即转移",
    units=(COUNTY, BOX_ONLY),
)


@dataclass
class Place:
    """A registry: `gateways` are those known below."""

    here: str
    gateways: set[str]
    clock: ManualClock
    table: CentreTable = TABLE

    def own(self) -> Centre:
        return self.table[self.here]

    def centres(self) -> tuple[Centre, ...]:
        return self.table.subtree(self.here, self.clock.now().date())

    def duty_node(self, centre: str) -> str | None:
        return centre if centre in self.gateways else f"{centre}-box"


@dataclass
class Rosters:
    """Who is on duty at each centre, always."""

    records: dict[str, DutyCurrent] = field(default_factory=dict)

    def put(self, centre: str, clock: ManualClock, **people: str) -> None:
        shown = tuple(OnDuty(name=f"{centre}{role}", role=DutyRole(role), phones=(n,)) for role, n in people.items())
        now = clock.now()
        shift = DutyShift(
            day=now.date(), name="白班", starts_at=now, ends_at=now.replace(year=now.year + 1), people=shown
        )
        self.records[centre] = DutyCurrent(centre=centre, shifts=(shift,))

    def record(self, centre: str) -> DutyCurrent | None:
        return self.records.get(centre)


@dataclass
class Post:
    """What is on its way, once it is on the sender's disk."""

    up: list = field(default_factory=list)
    down: list = field(default_factory=list)


@dataclass
class Wire:
    """One gateway's links."""

    post: Post
    here: str
    clock: ManualClock
    reachable: set[str]

    async def emit(self, uow, event, _lane):
        uow.after_commit(lambda: self.post.up.append(event))

    async def owe_command(self, uow, target, name, args, *, within_s):
        if target not in self.reachable:
            raise LinkError(f"no way leads to {target}")
        command = Command(
            command_id=new_ulid(self.clock),
            name=str(name),
            target=target,
            origin=self.here,
            deadline=self.clock.now().replace(year=2040),
            args=args.model_dump(mode="json"),
        )
        uow.after_commit(lambda: self.post.down.append(command))
        return command.command_id


@dataclass
class Office:
    orders: OrderOffice
    store: SqliteStore
    errands: Errands
    metrics: Metrics
    letters: Letters

    async def get(self, order_id):
        return await self.orders.desk.get(order_id)

    async def line(self, order_id, unit):
        return next(one for one in (await self.get(order_id))["lines"] if one["unit"] == unit)

    async def issue(self, content: OrderContent = CONTENT, *, drill: bool = False) -> str:
        """Write, sign by another person, and send."""
        id_ = await self.orders.room.draft(content, drill=drill, by="zhang")
        await self.orders.room.sign(id_, by="li")
        await self.orders.room.send(id_, by="li")
        return id_

    async def timers(self) -> int:
        async with self.store.reading() as reader:
            return len((await reader.execute(select(timers).where(timers.c.kind == TIMER))).all())

    async def settle(self):
        while await self.errands.act_due():
            pass

    async def told(self, order_id):
        """Return reference, channel and person of all letters."""
        found = (await self.get(order_id))["letters"]
        return sorted((one["ref"], one["channel"], one["person"]) for one in found)

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"silian_{name}", labels) or 0.0


@dataclass
class Stage:
    post: Post
    offices: dict[str, Office]
    clock: ManualClock
    duty: Rosters

    async def down(self, *, times: int = 2) -> list[str]:
        """Carry what waits down, each `times` times; returns the codes of what was refused."""
        waiting, refused = list(self.post.down), []
        self.post.down.clear()
        for command in waiting:
            for _ in range(times):
                try:
                    await self.offices[command.target].orders.inbox.on_order(command)
                except SilianError as error:
                    refused.append(error.code)
        return refused

    async def up(self, *, times: int = 2) -> list[str]:
        """Carry what waits to every office above its source, each `times` times; returns the deeds."""
        waiting = list(self.post.up)
        self.post.up.clear()
        for event in waiting:
            for code, office in self.offices.items():
                if code != event.source and TABLE.covers(code, event.source):
                    for _ in range(times):
                        office.orders.answering.check(event)
                        async with office.store.unit() as uow:
                            await office.orders.answering.apply(uow, [Came(event)])
        return [event.data["deed"] for event in waiting]

    async def pass_(self, seconds: float):
        """Let time pass at all offices."""
        await self.clock.advance(seconds)
        for office in self.offices.values():
            await office.settle()


@dataclass(frozen=True)
class Came:
    event: object


@contextlib.asynccontextmanager
async def orders_stage(
    folder: Path, clock: ManualClock, *codes: str, gateways: set[str] | None = None, **settings
) -> AsyncIterator[Stage]:
    """Run offices at `codes`; the same folder and clock again are a restart. `gateways`: known below, else `codes`."""
    known = set(codes) if gateways is None else gateways
    post, duty, offices = Post(), Rosters(), {}
    async with contextlib.AsyncExitStack() as stack:
        for code in codes:
            path = folder / f"{code}.db"
            path = path if path.exists() else at_newest_schema(path)
            store = await stack.enter_async_context(SqliteStore(path, code, clock, lambda _: None))
            errands, metrics, letters = Errands(store, clock), Metrics(), Letters(clock)
            needs = OrderNeeds(
                store=store,
                links=Wire(post, code, clock, known),
                letters=letters,
                timers=errands,
                area=Place(code, known, clock),
                duty=lambda: duty,
                clock=clock,
                metrics=metrics,
                settings=OrdersSection.model_validate(settings),
                key=load_or_make_key(folder / f"{code}.key"),
            )
            office = OrderOffice(needs)
            errands.on(TIMER, office.reminding.ring)
            offices[code] = Office(office, store, errands, metrics, letters)
        yield Stage(post, offices, clock, duty)
