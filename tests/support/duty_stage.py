"""A duty room on a real store and a clock that the test moves; its neighbours keep what they are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from gateway.adapters.store_sqlite import SqliteStore
from gateway.duty.machine import DEFAULT_PLAN, Person
from gateway.duty.needs import DutyNeeds, OpenItem
from gateway.duty.service import DutyService
from gateway.events import EventBus
from gateway.metrics import Metrics
from protocols.aio.clock import ManualClock
from protocols.alarm import AlarmData
from protocols.duty import DutyRole
from protocols.envelope import Event
from protocols.errors import NotAuthenticatedError
from tests.support.databases import at_newest_schema
from tests.support.rooms import Ways
from tests.support.web_site import Journal

DAY = date(2026, 11, 24)
STAFF = {"李局": "leader", "陈局": "leader", "王强": "officer", "赵敏": "officer", "周立": "officer"}
NINE = datetime(2026, 11, 24, 1, tzinfo=UTC)
"""09:00 in China, half an hour into the shift."""


@dataclass(frozen=True)
class Arrived:
    event: Event


@dataclass
class Neighbours:
    """Links, alarms, the rooms with open items, and the accounts."""

    emitted: list[Event] = field(default_factory=list)
    alarms: list[tuple[str, AlarmData]] = field(default_factory=list)
    items: list[OpenItem] = field(default_factory=list)
    room: DutyService | None = None

    async def emit(self, uow, event, lane) -> None:
        self.emitted.append(event)
        self.room.check(event)
        await self.room.apply(uow, [Arrived(event)])

    async def report_within(self, uow, type_: str, data: AlarmData) -> str:
        self.alarms.append((type_.split(".")[-2], data))
        return ""

    async def open_items(self) -> list[OpenItem]:
        return self.items

    async def confirm(self, name: str, password: str) -> str:
        if password != "right":
            raise NotAuthenticatedError("user name or password is wrong")
        return name


@dataclass
class Stage:
    room: DutyService
    around: Neighbours
    clock: ManualClock
    journal: Journal
    people: dict[str, Person] = field(default_factory=dict)

    async def staff(self) -> None:
        for name, role in STAFF.items():
            values = {"name": name, "role": role, "phones": ["13812345678"], "valid_from": date(2020, 1, 1)}
            self.people[name] = await self.room.put_person(None, values)
        await self.room.set_plan(DEFAULT_PLAN, by="admin")

    def full(self) -> dict[str, list[tuple[str, DutyRole]]]:
        roles = (("李局", DutyRole.LEADER), ("王强", DutyRole.OFFICER), ("赵敏", DutyRole.OFFICER))
        return {"全天": [(self.people[name].id, role) for name, role in roles]}


@asynccontextmanager
async def duty_stage(directory: Path) -> AsyncIterator[Stage]:
    clock, journal, around = ManualClock(NINE), Journal(), Neighbours()
    store = SqliteStore(at_newest_schema(directory / "duty.db"), "320623", clock, EventBus().publish)
    needs = DutyNeeds(
        store=store, outgoing=around, alarms=around, area=Ways("320623"), items=around, signatures=around,
        journal=journal, clock=clock, metrics=Metrics(),
    )  # fmt: skip
    around.room = DutyService(needs)
    async with store:
        yield Stage(around.room, around, clock, journal)
