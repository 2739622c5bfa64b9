"""Several nodes in one process, for the chaos run: `python -m tests.support.chaos_agent PLAN.json`.

Each node is the real spool and the real uplink. Whatever the spool has accepted is written to `accepted.log` *after*
`put` returned, as a sensor would remember it: that file is what the judge believes. Killed and started again, a node
goes on where its log ends.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from protocols.aio.clock import SystemClock, new_ulid
from protocols.aio.enrol import ensure_identity
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.aio.spool import Quota, Spool
from protocols.aio.uplink import Uplink, UplinkHandlers
from protocols.alarm import Condition, SensorReport, lane_for
from protocols.backoff import Backoff
from protocols.envelope import Event, EventFactory
from protocols.errors import LinkError, SpoolFullError
from protocols.health import Heartbeat, LinkStatus
from protocols.ids import centre_of

CLOCK = SystemClock()
BATCH = 8
KEYS = 5


class ChaosNode:
    """One node: produces its share of alarms, and keeps its link."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.name: str = plan["name"]
        self.folder = Path(plan["dir"])
        self.folder.mkdir(parents=True, exist_ok=True)
        self.url: str = plan["url"]
        self.token: str = plan["token"]
        self.total: int = plan["total"]
        self.pace: float = plan["pace"]
        self.quota = Quota(total=plan["quota"], ballast=0)
        self.first_all: bool = plan["first_all"]
        self.log = self.folder / "accepted.log"

    async def run(self) -> None:
        """Produce and send until cancelled."""
        identity = await self._enrolled()
        tls = TlsFiles(identity.authority, identity.certificate, identity.key)
        address = BrokerAddress(identity.broker_host, identity.broker_port, tls)
        spool = await Spool.open(self.folder / "spool.db", clock=CLOCK, quota=self.quota)
        handlers = UplinkHandlers(
            lambda node, frame: spool.receive(self.name, node, frame, _ignore),
            self._heartbeat,
            lambda status: spool.note_link(up=status.status is LinkStatus.UP),
        )
        backoff = Backoff(base=0.1, cap=1.0)
        uplink = Uplink(node=self.name, address=address, outbox=spool, handlers=handlers, clock=CLOCK, backoff=backoff)
        try:
            if self.first_all:
                await self._produce(spool)
            async with asyncio.TaskGroup() as group:
                group.create_task(uplink.run(), name="uplink")
                if not self.first_all:
                    group.create_task(self._produce(spool), name="produce")
        finally:
            await spool.close()

    async def _enrolled(self):
        while True:
            try:
                return await ensure_identity(self.folder / "identity", self.url, self.token)
            except LinkError:
                await asyncio.sleep(0.3)

    async def _produce(self, spool: Spool) -> None:
        number = len(self.log.read_text().splitlines()) if self.log.exists() else 0
        factory = EventFactory(self.name, await spool.next_origin_counter(1_000_000))
        with self.log.open("a") as log:
            while number < self.total:
                size = min(BATCH, self.total - number)
                events = [self._event(factory, number + one) for one in range(size)]
                try:
                    await spool.put_many([(lane_for(event.data["severity"]), event) for event in events])
                except SpoolFullError:
                    await asyncio.sleep(0.2)
                    continue
                for event in events:
                    raised = "raised" in event.type
                    log.write(f"{event.id} {event.origincounter} {event.data['alarm_key']} {int(raised)}\n")
                log.flush()
                number += size
                await asyncio.sleep(0 if self.first_all else BATCH / self.pace)
        (self.folder / "done").touch()

    def _event(self, factory: EventFactory, number: int) -> Event:
        condition = Condition.CLEARED if number % 7 == 6 else Condition.ACTIVE
        report = SensorReport(
            alarm_key=f"k{number % KEYS}",
            sensor="s1",
            severity=1 + number % KEYS % 4,
            condition=condition,
            headline="水位超警戒",
        )
        type_, data = report.type_and_data(centre_of(self.name), CLOCK.now())
        return factory.mint(type_, data, now=CLOCK.now(), ulid=new_ulid(CLOCK))

    async def _heartbeat(self, number: int) -> Heartbeat:
        return Heartbeat(node=self.name, sent_at=CLOCK.now(), number=number)


async def _ignore(_record: object) -> None:
    """Take a command; the chaos run gives none."""


async def main(plan: Path) -> None:
    """Run all nodes until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    nodes = [ChaosNode(one) for one in json.loads(plan.read_text())]
    tasks = [asyncio.ensure_future(one.run()) for one in nodes]
    stop = asyncio.ensure_future(ended.wait())
    done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stop):
        task.cancel()
    await asyncio.gather(*tasks, stop, return_exceptions=True)
    for task in done - {stop}:
        task.result()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
