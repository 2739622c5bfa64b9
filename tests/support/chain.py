"""Gateways chained in one process over real brokers, with nodes that speak through the real link code.

`city_and_province` and friends give whole tiers; a `Node` is an agent reduced to its link: a spool, an uplink, and
reports put into the spool.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from gateway.alarms.tables import log
from gateway.app import Gateway
from gateway.settings import Settings
from protocols.aio.clock import SystemClock, new_ulid
from protocols.aio.enrol import ensure_identity
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.aio.spool import Quota, Spool
from protocols.aio.uplink import Uplink, UplinkHandlers
from protocols.alarm import Condition, SensorReport, lane_for
from protocols.backoff import Backoff
from protocols.command import COMMAND, REPLY, Outcome, Reply, parse_command
from protocols.envelope import Event, EventFactory, Lane, Record
from protocols.health import CATALOGUE, CameraInfo, Catalogue, Heartbeat
from protocols.ids import centre_of
from protocols.uplink import Frame, Receipt

CLOCK = SystemClock()
QUICK = Backoff(base=0.05, cap=0.5, floor=0.02)
QUOTA = Quota(ballast=0)


def settings(code: str, directory: Path, **more: Any) -> Settings:
    """Return settings of a gateway on free ports of loopback; `more` are whole sections."""
    plain = {
        "centre": {"code": code},
        "state": {"dir": str(directory / code)},
        "http": {"port": 0},
        "management": {"port": 0},
        "broker": {"port": 0},
    }
    return Settings.model_validate(plain | more)


async def until(condition: Callable[[], Any] | Callable[[], Awaitable[Any]], seconds: float = 60.0) -> Any:
    """Wait until `condition` (plain or async) returns something true, and return it."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


async def logged(gateway: Gateway) -> list[Any]:
    """Return the rows of the alarm event log, in order of arrival."""
    async with gateway.store.reading() as reader:
        return list((await reader.execute(select(log).order_by(log.c.number))).all())


@contextlib.asynccontextmanager
async def tiers(directory: Path, *codes: str) -> AsyncIterator[list[Gateway]]:
    """Run gateways, the top first; each is enrolled at the one before it."""
    async with contextlib.AsyncExitStack() as stack:
        running: list[Gateway] = []
        for code in codes:
            more: dict[str, Any] = {}
            if running:
                made = await running[-1].enrolment.invite(code, "test")
                more["upstream"] = {"url": running[-1].base_url, "token": str(made.token)}
            running.append(await stack.enter_async_context(Gateway(settings(code, directory, **more))))
        yield running


@dataclass
class Node:
    """An agent reduced to its link. Answers every command with `answer`."""

    name: str
    spool: Spool
    uplink: Uplink | None = None
    factory: EventFactory = field(init=False)
    commands: list[Event] = field(default_factory=list)
    answer: Callable[[Event], tuple[Outcome, dict[str, Any]]] = lambda _: (Outcome.DONE, {})

    async def prepare(self) -> None:
        """Continue the origin counter."""
        self.factory = EventFactory(self.name, await self.spool.next_origin_counter(1_000_000))

    def mint(self, type_: str, data: dict[str, Any], *, now: datetime | None = None) -> Event:
        """Make an event of this node."""
        return self.factory.mint(type_, data, now=now or CLOCK.now(), ulid=new_ulid(CLOCK))

    def report(self, key: str, condition: Condition = Condition.ACTIVE, severity: int = 3, **more: Any) -> Event:
        """Make the event of a sensor's report."""
        report = SensorReport.model_validate(
            {
                "alarm_key": key,
                "sensor": "gas-1",
                "severity": severity,
                "condition": condition,
                "headline": "燃气浓度过高",
                "observed_at": CLOCK.now(),
            }
            | more
        )
        type_, data = report.type_and_data(centre_of(self.name), CLOCK.now())
        return self.mint(type_, data)

    async def raise_alarm(self, key: str, condition: Condition = Condition.ACTIVE, severity: int = 3) -> Event:
        """Put a report into the spool; it is on the disk on return."""
        event = self.report(key, condition, severity)
        await self.spool.put(lane_for(severity), event)
        return event

    async def announce(self, *names: str) -> None:
        """Announce cameras."""
        centre = centre_of(self.name)
        cameras = tuple(CameraInfo(centre=centre, name=name, title=name, kind="testcard") for name in names)
        catalogue = Catalogue(node=self.name, version="1", cameras=cameras)
        await self.spool.put(Lane.LIVE, self.mint(CATALOGUE, catalogue.model_dump(mode="json")))

    async def receive(self, node: str, frame: Frame) -> Receipt:
        """Take commands from above."""
        return await self.spool.receive(self.name, node, frame, self._handle)

    async def _handle(self, record: Record) -> None:
        if record.event.type != COMMAND:
            return
        self.commands.append(record.event)
        command = parse_command(record.event.data)
        outcome, result = self.answer(record.event)
        if command.expired(CLOCK.now()):
            outcome, result = Outcome.EXPIRED, {}
        reply = Reply(
            command_id=command.command_id,
            name=command.name,
            target=command.target,
            origin=command.origin,
            outcome=outcome,
            result=result,
        )
        await self.spool.put(Lane.URGENT, self.mint(REPLY, reply.model_dump(mode="json")))

    async def heartbeat(self, number: int) -> Heartbeat:
        """Return a plain heartbeat."""
        return Heartbeat(node=self.name, sent_at=CLOCK.now(), number=number)


@contextlib.asynccontextmanager
async def node(gateway: Gateway, name: str, directory: Path, *, linked: bool = True) -> AsyncIterator[Node]:
    """Run a node below `gateway`: enrolled, with a spool; the uplink runs where `linked`."""
    folder = directory / name
    folder.mkdir(parents=True, exist_ok=True)
    made = await gateway.enrolment.invite(name, "test")
    identity = await ensure_identity(folder / "identity", gateway.base_url, str(made.token))
    tls = TlsFiles(identity.authority, identity.certificate, identity.key)
    address = BrokerAddress(identity.broker_host, identity.broker_port, tls)
    spool = await Spool.open(folder / "spool.db", clock=CLOCK, quota=QUOTA)
    running = Node(name, spool)
    await running.prepare()
    try:
        async with uplinked(running, address) if linked else contextlib.nullcontext():
            yield running
    finally:
        await spool.close()


@contextlib.asynccontextmanager
async def uplinked(running: Node, address: BrokerAddress) -> AsyncIterator[Uplink]:
    """Run the node's uplink."""

    def on_status(status: Any) -> None:
        running.spool.note_link(up=status.status == "up")

    handlers = UplinkHandlers(running.receive, running.heartbeat, on_status)
    uplink = running.uplink = Uplink(
        node=running.name, address=address, outbox=running.spool, handlers=handlers, clock=CLOCK, backoff=QUICK
    )
    task = asyncio.get_running_loop().create_task(uplink.run())
    try:
        yield uplink
    finally:
        await uplink.stop()
        await task
