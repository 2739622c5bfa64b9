"""Two replicas of a gateway on one store and one broker share a node's branch by lease; the node is a real uplink."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from pydantic import BaseModel
from sqlalchemy import select

from gateway.adapters.bus_memory import Hub, MemoryBus
from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import CatalogueChanged, CommandReplied, EventBus, LinkChanged
from gateway.links.service import Links
from gateway.links.tables import events
from gateway.metrics import Metrics
from gateway.registry.service import Registry
from gateway.replicas import machine, service
from gateway.replicas.bridge import Bridge
from gateway.replicas.service import Replicas
from protocols.aio.clock import SystemClock, new_ulid
from protocols.alarm import RAISED
from protocols.command import COMMAND, REPLY, Outcome, Reply, parse_command
from protocols.envelope import Lane, Record
from protocols.errors import LinkError
from protocols.health import CATALOGUE, LINK_STATE, LinkStatus
from protocols.tiers import NANTONG, CentreTable
from protocols.uplink import Frame
from tests.integration.test_link import lower_end, settled
from tests.support.brokers import mosquitto
from tests.support.databases import at_newest_schema
from tests.support.events import NODE, alarm
from tests.support.until import until

pytestmark = pytest.mark.external
CLOCK = SystemClock()


@pytest.fixture(autouse=True)
def quick_leases(monkeypatch):
    """Leases of two seconds: what is proved does not depend on their length."""
    for module in (machine, service):
        monkeypatch.setattr(module, "TTL_S", 2.0)
    monkeypatch.setattr(service, "BEAT_S", 0.4)


class Nothing(BaseModel):
    """A command without arguments."""


class Side:
    """One replica: its links, its leases, its end of the bus."""

    def __init__(self, name, store, address, hub):
        self.events, self.metrics = EventBus(), Metrics()
        self.bus = MemoryBus(hub)
        self.registry = Registry(CentreTable(NANTONG), "320600", store, self.events, CLOCK)
        before = dict.fromkeys((LinkChanged, CatalogueChanged), self.registry.load)
        self.bridge = Bridge(self.bus, self.events, CLOCK, self.metrics, before=before)

        def wanted():
            return self.links.nodes()

        self.replicas = Replicas(store, CLOCK, self.metrics, name=name, url=lambda: name, version="1", wanted=wanted)
        self.links = Links(
            node="320600",
            store=store,
            clock=CLOCK,
            directory=self.registry,
            counts=self.metrics,
            broker=lambda: address,
            has_upper=False,
            branches=self.replicas,
        )
        for type_ in (CATALOGUE, LINK_STATE):
            self.links.on_event(type_, self.registry)
        self.events.listen(CommandReplied, lambda event: self.links.replied(event.reply))
        self.replicas.on_change(self.links.own)
        self.stack = AsyncExitStack()

    async def start(self):
        await self.registry.load()
        for part in (self.bus, self.bridge, self.links, self.replicas):
            await self.stack.enter_async_context(part)

    def die(self):
        """Leave nothing in good order, as kill -9 does: no lease is given back, no DISCONNECT sent."""
        self.links.downlink._change = lambda *_: None
        for supervisor in (self.replicas._tasks, self.links.tasks):
            for task in supervisor._tasks.values():
                task.cancel()

    @property
    def owns(self):
        return self.replicas.mine(NODE) and self.links.downlink.owns(NODE)


@asynccontextmanager
async def two_replicas(tmp_path, address):
    """One store stands for the database that both share: what it tells reaches each as from the other."""
    hub = Hub()
    teller = Bridge(MemoryBus(hub), EventBus(), CLOCK, Metrics())
    path = at_newest_schema(tmp_path / "gateway.db")
    async with SqliteStore(path, "320600", CLOCK, teller.tell) as store:
        sides = [Side("a", store, address, hub), Side("b", store, address, hub)]
        try:
            for side in sides:
                await side.start()
            yield store, sides
        finally:
            for side in sides:
                await side.stack.aclose()


async def count_alarms(store):
    async with store.reading() as reader:
        found = await reader.execute(select(events.c.origincounter).where(events.c.type == RAISED))
        return sorted(found.scalars().all())


async def until_stored(store, count):
    async with asyncio.timeout(40):
        while len(await count_alarms(store)) < count:
            await asyncio.sleep(0.05)
    assert await count_alarms(store) == list(range(count)), "each exactly once"


async def owner_of(sides):
    await until(lambda: any(side.owns for side in sides), 30, "somebody takes the branch")
    first = next(side for side in sides if side.owns)
    return first, next(side for side in sides if side is not first)


async def test_one_consumes_and_the_other_takes_over_when_it_dies(tmp_path):
    async with (
        mosquitto(tmp_path / "mqtt") as broker,
        two_replicas(tmp_path, broker.address()) as (store, sides),
        lower_end(tmp_path, broker.address()) as lower,
    ):
        first, second = await owner_of(sides)
        for number in range(20):
            await lower.spool.put(Lane.LIVE, alarm(number))
        await until_stored(store, 20)
        assert second.links.downlink.counters["records_received"] == 0
        await until(lambda: second.registry.link(NODE) is not None)
        await until(lambda: second.registry.link(NODE).last_heartbeat_at is not None, what="both hear heartbeats")
        first.die()
        for number in range(20, 40):
            await lower.spool.put(Lane.LIVE, alarm(number))
        await until(lambda: second.owns, 30, "the other takes over")
        await until_stored(store, 40)
        await settled(lower.spool)
        await until(lambda: second.links.watch.status(NODE) is LinkStatus.UP)
        assert lower.status.status is LinkStatus.UP


async def test_a_paused_owner_stores_nothing_after_another_took_the_branch(tmp_path):
    async with (
        mosquitto(tmp_path / "mqtt") as broker,
        two_replicas(tmp_path, broker.address()) as (store, sides),
        lower_end(tmp_path, broker.address()) as lower,
    ):
        first, second = await owner_of(sides)
        await until(lambda: second.registry.link(NODE) is not None)
        await lower.spool.put(Lane.LIVE, alarm(0))
        await until_stored(store, 1)
        # It beats no more and notices nothing: subscribed, reading, with tasks that run.
        await first.replicas._tasks.cancel("beat")
        await until(lambda: second.owns, 30)
        assert first.links.downlink.owns(NODE)
        for number in range(1, 30):
            await lower.spool.put(Lane.LIVE, alarm(number))
        await until_stored(store, 30)
        await settled(lower.spool)
        async with store.unit() as uow:
            assert await first.replicas.lost(uow, [NODE]) == {NODE}
            assert await second.replicas.lost(uow, [NODE]) == set()
        fenced = frame_of(99)
        with pytest.raises(LinkError, match="another replica takes the records"):
            await first.links.take_up(NODE, fenced)
        assert len(await count_alarms(store)) == 30


async def test_a_command_from_either_reaches_the_node_and_its_reply_the_asker(tmp_path):
    async with (
        mosquitto(tmp_path / "mqtt") as broker,
        two_replicas(tmp_path, broker.address()) as (_store, sides),
        lower_end(tmp_path, broker.address()) as lower,
    ):
        lower.far.before_commit = lambda frame: answer(lower, frame)
        first, second = await owner_of(sides)
        await until(lambda: all(side.registry.link(NODE) is not None for side in sides))
        for side in (first, second):
            reply = await side.links.ask(NODE, "test.echo", Nothing(), within_s=30)
            assert reply.outcome is Outcome.DONE
        second.bus.hear = lambda body: None  # the bus loses the word: the store has it all the same
        reply = await second.links.ask(NODE, "test.echo", Nothing(), within_s=30)
        assert reply.outcome is Outcome.DONE


def frame_of(counter):
    record = Record(seq=counter, event=alarm(counter))
    return Frame(node=NODE, epoch=new_ulid(CLOCK), lane=Lane.LIVE, records=(record,))


def answer(lower, frame):
    """Answer each command of a frame as an agent does."""
    for record in frame.records:
        if record.event.type == COMMAND:
            command = parse_command(record.event.data)
            reply = Reply(
                command_id=command.command_id,
                name=command.name,
                target=NODE,
                origin=command.origin,
                outcome=Outcome.DONE,
            )
            event = alarm(1000 + lower.far.frames).model_copy(
                update={"type": REPLY, "data": reply.model_dump(mode="json")}
            )
            lower.answers = [*getattr(lower, "answers", []), asyncio.ensure_future(lower.spool.put(Lane.URGENT, event))]
