"""Reports rooms of several tiers on real stores, joined by links of paper that a test delivers by hand."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import EventBus, ReportChanged
from gateway.metrics import Metrics
from gateway.reports.deadlines import load_profile
from gateway.reports.inbox import Inbox
from gateway.reports.needs import ReportNeeds
from gateway.reports.service import Reports
from protocols.aio.clock import ManualClock, new_ulid
from protocols.command import Command
from protocols.tiers import NANTONG, CentreTable
from tests.support.databases import at_newest_schema

TABLE = CentreTable(NANTONG)
ALARM = {
    "id": "01JB0000000000000000000000",
    "centre": "320623",
    "source": "320623-box",
    "sensor": "gas-1",
    "headline": "可燃气体超限",
    "detail": "二号储罐",
    "value": 25.0,
    "unit": "%LEL",
    "first_raised_at": "2026-03-01T01:05:00Z",
    "received_at": "2026-03-01T01:05:01Z",
    "drill": True,
}


@dataclass(frozen=True)
class Place:
    code: str
    table: CentreTable = TABLE


@dataclass(frozen=True)
class Came:
    event: object
    received_at: object


class OneAlarm:
    async def get(self, _alarm_id):
        return ALARM


@dataclass
class Post:
    """What is on its way, once it is on the sender's disk."""

    clock: ManualClock
    up: list = field(default_factory=list)
    down: list = field(default_factory=list)

    async def emit(self, uow, event, _lane):
        uow.after_commit(lambda: self.up.append(event))

    def of(self, origin):
        return Wire(self, origin)


@dataclass
class Wire:
    post: Post
    origin: str

    async def emit(self, uow, event, lane):
        await self.post.emit(uow, event, lane)

    async def owe_command(self, uow, target, name, args, *, within_s):
        command = Command(
            command_id=new_ulid(self.post.clock),
            name=str(name),
            target=target,
            origin=self.origin,
            deadline=self.post.clock.now().replace(year=2030),
            args=args.model_dump(mode="json"),
        )
        uow.after_commit(lambda: self.post.down.append(command))
        return command.command_id


@dataclass
class Office:
    room: Reports
    inbox: Inbox
    store: SqliteStore
    reminders: list


@contextlib.asynccontextmanager
async def offices(folder: Path, clock: ManualClock, *codes: str, profile: str = "cn.493"):
    """Yield the post and one office per code."""
    post, found = Post(clock), {}
    async with contextlib.AsyncExitStack() as stack:
        for code in codes:
            bus, reminders = EventBus(), []
            bus.listen(ReportChanged, lambda e, kept=reminders: kept.append(e.percent) if e.percent else None)
            store = SqliteStore(at_newest_schema(folder / f"{code}.db"), code, clock, bus.publish)
            await stack.enter_async_context(store)
            needs = ReportNeeds(store, post.of(code), Place(code), OneAlarm(), clock, Metrics())
            room = Reports(needs, load_profile(profile), has_upper=code != "000000")
            found[code] = Office(room, Inbox(room), store, reminders)
        yield post, found


async def deliver_up(post: Post, found: dict[str, Office]) -> None:
    """Carry what waits to every office above its source, as the links do."""
    waiting = list(post.up)
    post.up.clear()
    for event in waiting:
        for code, office in found.items():
            if code != event.source and TABLE.covers(code, event.source):
                office.inbox.check(event)
                async with office.store.unit() as uow:
                    await office.inbox.apply(uow, [Came(event, uow.now)])


async def deliver_down(post: Post, found: dict[str, Office]) -> None:
    """Carry the answers down, each twice: taking one again must change nothing."""
    waiting = list(post.down)
    post.down.clear()
    for command in waiting:
        for _ in range(2):
            await found[command.target].inbox.on_answer(command)
