"""The escalation room beside the real alarms room on a real store; the clock stands still, channels write down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.adapters.store_sqlite import SqliteStore
from gateway.alarms.service import Alarms
from gateway.escalation.needs import EscalationNeeds
from gateway.escalation.service import Escalation
from gateway.events import EventBus
from gateway.links.arrival import Arrival
from gateway.metrics import Metrics
from gateway.ports.notify import Channel, Notice, NotSentError, Receipt, Sent
from gateway.ports.store import UnitOfWork
from protocols.aio.clock import ManualClock, SystemClock, new_ulid
from protocols.alarm import CLEARED, RAISED, AlarmData
from protocols.envelope import Event, Lane
from tests.support.databases import at_newest_schema
from tests.support.rooms import OneLink, Ways


@dataclass
class Written:
    """A channel that writes down what it is given; `fails` errors come first."""

    got: list[Notice] = field(default_factory=list)
    fails: list[NotSentError] = field(default_factory=list)

    async def send(self, notice: Notice) -> Sent:
        if self.fails:
            raise self.fails.pop(0)
        self.got.append(notice)
        return Sent(Receipt.ACCEPTED, "250 ok")


@dataclass
class Local:
    """Takes own events as the links room does, and remembers what is owed."""

    alarms: Alarms | None = None
    owed: list[Event] = field(default_factory=list)

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        assert self.alarms is not None
        self.owed.append(event)
        await self.alarms.apply(uow, [Arrival(event, event.source, lane, (), uow.now)])


class Area(Ways):
    """A registry with what the alarms room asks too."""

    @property
    def code(self) -> str:
        return self.here

    def above(self, code: str) -> str | None:
        return self.table[code].parent if code != self.here else None

    def subtree(self, code: str) -> tuple[str, ...]:
        return tuple(centre.code for centre in self.table.subtree(code, SystemClock().now().date()))


@dataclass
class Stage:
    """The room and its neighbours."""

    clock: ManualClock
    store: SqliteStore
    alarms: Alarms
    room: Escalation
    local: Local
    metrics: Metrics
    channels: dict[Channel, Written]
    counter: int = 0

    async def hear(self, type_: str, **more: Any) -> str:
        """Let an alarm event arrive; returns its id."""
        event = self.event(type_, **more)
        await self.take(event)
        return event.id

    def event(self, type_: str, *, source: str = "320623-box", key: str = "gas-1/high", **more: Any) -> Event:
        """Make the next event of a source."""
        self.counter += 1
        data = AlarmData.model_validate(
            {"alarm_key": key, "centre": source[:6], "sensor": "gas-1", "severity": 1, "headline": "燃气浓度过高"}
            | {"event_type": "gas", "observed_at": self.clock.now()}
            | {name: value for name, value in more.items() if name != "drill"}
        )
        return Event(
            id=new_ulid(self.clock),
            source=source,
            type=type_,
            time=self.clock.now(),
            data=data.model_dump(mode="json"),
            origincounter=self.counter,
            drill=bool(more.get("drill")),
        )

    def arrival(self, event: Event) -> Arrival:
        """Return the event as the links room hands it over."""
        return Arrival(event, event.source, Lane.URGENT, (), self.clock.now())

    async def take(self, event: Event) -> None:
        async with self.store.unit() as uow:
            await self.alarms.apply(uow, [self.arrival(event)])

    async def raise_(self, **more: Any) -> str:
        return await self.hear(RAISED, **more)

    async def clear(self, **more: Any) -> str:
        return await self.hear(CLEARED, **more)

    async def pass_(self, seconds: float) -> None:
        """Let time pass, then act on what is due and send it."""
        await self.clock.advance(seconds)
        await self.settle()

    async def settle(self) -> None:
        while await self.room.act_due() + await self.room.deliver_due():
            pass

    def sent(self, channel: Channel = Channel.SMS) -> list[tuple[str, str]]:
        return [(notice.data["person"], notice.data["purpose"]) for notice in self.channels[channel].got]


@asynccontextmanager
async def escalation_stage(
    directory: Path,
    *,
    here: str = "320623",
    has_upper: bool = True,
    below: tuple[str, ...] = (),
    clock: ManualClock | None = None,
) -> AsyncIterator[Stage]:
    """Run the two rooms, with gateways `below`; the same directory and clock again are a restart."""
    clock, metrics, local = clock or ManualClock(), Metrics(), Local()
    path = directory / "gateway.db"
    if not path.exists():
        at_newest_schema(path)
    boxes = {f"{code}-box": OneLink(f"{code}-box") for code in ("320623", "320612")}
    area = Area(here, [], boxes | {code: OneLink(code) for code in below})
    channels = {channel: Written() for channel in Channel}
    async with SqliteStore(path, here, clock, EventBus().publish) as store:
        alarms = local.alarms = Alarms(store, local, area, metrics, clock)
        room = Escalation(EscalationNeeds(store, alarms, area, channels, clock, metrics, has_upper))
        alarms.follow(room.follow)
        await room.prepare()
        yield Stage(clock, store, alarms, room, local, metrics, channels)
