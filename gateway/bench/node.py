"""A node for benchmarks: the real spool and the real uplink of an agent, without its cameras and sensors.

What the spool has accepted is told to whoever drives the node only after `put_many` returned: that is what a sensor
would have been promised.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.aio.clock import Clock, SystemClock, new_ulid
from protocols.aio.enrol import Identity, ensure_identity
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.aio.spool import Quota, Spool
from protocols.aio.uplink import Uplink, UplinkHandlers, UplinkStatus
from protocols.alarm import Condition, SensorReport, Severity, lane_for
from protocols.backoff import Backoff
from protocols.envelope import Event, EventFactory
from protocols.errors import LinkError
from protocols.health import Heartbeat, LinkStatus
from protocols.ids import centre_of

EAGER = Backoff(base=0.1, cap=1.0)
COUNTERS = 1_000_000
"""Origin counters reserved at a start: more than any run mints, so that none is ever given twice."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node lives and whom it is linked to. `broker` overrides the address told at the enrolment."""

    name: str
    folder: Path
    url: str
    token: str
    quota: Quota = field(default_factory=Quota)
    broker: tuple[str, int] | None = None


class Node:
    """One node. `open`, then `link`; `put` from then on and before."""

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self.place = place
        self.clock = clock or SystemClock()
        self.up = asyncio.Event()
        self.settled = Settling()
        self._spool: Spool | None = None
        self._factory: EventFactory | None = None
        self._uplink: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the spool; raises ConfigError."""
        self.place.folder.mkdir(parents=True, exist_ok=True)
        spool = await Spool.open(self.place.folder / "spool.db", clock=self.clock, quota=self.place.quota)
        self._spool = spool
        self._factory = EventFactory(self.place.name, await spool.next_origin_counter(COUNTERS))

    async def close(self) -> None:
        """Cut the link and close the spool."""
        await self.unlink()
        if self._spool is not None:
            await self._spool.close()

    async def link(self) -> None:
        """Enrol where that is still to be done (as often as it takes), and start the uplink."""
        identity = await self._enrolled()
        tls = TlsFiles(identity.authority, identity.certificate, identity.key)
        host, port = self.place.broker or (identity.broker_host, identity.broker_port)
        handlers = UplinkHandlers(self._receive, self._heartbeat, self._on_status)
        uplink = Uplink(
            node=self.place.name,
            address=BrokerAddress(host, port, tls),
            outbox=Watched(self.spool, self.settled),
            handlers=handlers,
            clock=self.clock,
            backoff=EAGER,
        )
        self._uplink = asyncio.ensure_future(uplink.run())

    async def _enrolled(self) -> Identity:
        while True:
            try:
                return await ensure_identity(self.place.folder / "identity", self.place.url, self.place.token)
            except LinkError:
                await self.clock.sleep(0.3)

    async def unlink(self) -> None:
        """Cut the link; the spool goes on."""
        if self._uplink is not None:
            self._uplink.cancel()
            await asyncio.gather(self._uplink, return_exceptions=True)
            self._uplink = None
        self.up.clear()
        self.spool.note_link(up=False)

    async def ended(self) -> None:
        """Wait for the uplink, which never ends by itself."""
        if self._uplink is not None:
            await self._uplink

    @property
    def spool(self) -> Spool:
        """The node's spool."""
        if self._spool is None:
            raise AssertionError("open the node first")
        return self._spool

    async def put(self, reports: Sequence[SensorReport]) -> list[Event]:
        """Store reports in one transaction and return their events; raises SpoolFullError, nothing stored."""
        events = [self.mint(report) for report in reports]
        await self.spool.put_many([(lane_for(event.data["severity"]), event) for event in events])
        return events

    def mint(self, report: SensorReport) -> Event:
        """Make the event of a report."""
        if self._factory is None:
            raise AssertionError("open the node first")
        now = self.clock.now()
        type_, data = report.type_and_data(centre_of(self.place.name), now)
        return self._factory.mint(type_, data, now=now, ulid=new_ulid(self.clock))

    async def _receive(self, node: str, frame: Any) -> Any:
        return await self.spool.receive(self.place.name, node, frame, _ignore)

    async def _heartbeat(self, number: int) -> Heartbeat:
        return Heartbeat(node=self.place.name, sent_at=self.clock.now(), number=number)

    def _on_status(self, status: UplinkStatus) -> None:
        up = status.status is LinkStatus.UP
        self.spool.note_link(up=up)
        if up:
            self.up.set()
        else:
            self.up.clear()


class Settling:
    """Counts what was receipted, and lets a caller wait for it."""

    def __init__(self) -> None:
        self.stored = 0
        self.at = 0.0
        self._grown = asyncio.Event()

    def add(self, count: int) -> None:
        """Note receipts."""
        if count:
            self.stored += count
            self.at = time.monotonic()
            self._grown.set()

    async def reach(self, count: int) -> float:
        """Wait until so many were receipted; return the moment of the last receipt (monotonic)."""
        while self.stored < count:
            self._grown.clear()
            await self._grown.wait()
        return self.at


class Watched:
    """An outbox that tells `settling` of each receipt; everything else is the spool's own."""

    def __init__(self, spool: Spool, settling: Settling) -> None:
        self._spool = spool
        self._settling = settling
        self.pending, self.settled, self.replay = spool.pending, spool.settled, spool.replay
        self.depth, self.wait_changed = spool.depth, spool.wait_changed

    @property
    def epoch(self) -> str:
        """See Outbox."""
        return self._spool.epoch

    async def settle(self, receipt: Any) -> Any:
        """See Outbox."""
        found = await self._spool.settle(receipt)
        self._settling.add(found.stored)
        return found


async def paced(rate: float, seconds: float, tick: Callable[[int], Any]) -> None:
    """Call and await `tick(number)` at `rate` a second for `seconds`, by the clock: a late one is not left out."""
    began, number = time.monotonic(), 0
    while number < rate * seconds:
        await tick(number)
        number += 1
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))


async def _ignore(_record: object) -> None:
    """Take a command; a bench gives none."""


def report(key: str, severity: int, number: int, condition: Condition = Condition.ACTIVE) -> SensorReport:
    """Return what a sensor says; its value carries the number, so that a screen can be asked how far it is."""
    return SensorReport(
        alarm_key=key,
        sensor="bench",
        event_type="dev.bench",
        severity=Severity(severity),
        condition=condition,
        headline="基准测试：水位超警戒",
        value=float(number),
        label="测试",
    )
