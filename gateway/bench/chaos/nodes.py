"""Several nodes in one process that may be killed: `python -m gateway.bench.chaos.nodes PLAN.json`.

Whatever a spool has accepted is written to `accepted.log` *after* `put` returned, as a sensor would remember it: that
file is what the verdict believes. Killed and started again, a node goes on where its log ends.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gateway.bench.chaos.clock import VARIABLE, SteppedClock
from gateway.bench.node import Node, Place, report
from protocols.aio.spool import Quota
from protocols.alarm import RAISED, Condition, SensorReport
from protocols.errors import SpoolFullError

BATCH = 4
KEYS = 5
ONCE_EACH = 40
"""Each fortieth report is red, stands for ever and has a key of its own: its chain must run exactly once."""


class NodePlan(BaseModel):
    """One node: `memory` is what its sensors remember, `home` its own disk, `until` the file that ends it.

    `first` alarms come before its first contact, into a spool too small for them: repeats must fold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    home: Path
    memory: Path
    until: Path
    url: str
    token: str
    broker: tuple[str, int] | None = None
    pace: float = 8.0
    quota: int = 256 * 1024 * 1024
    first: int = 0


class Sensors:
    """The sensors of one node, and the node."""

    def __init__(self, plan: NodePlan, clock: SteppedClock) -> None:
        self._plan = plan
        quota = Quota(total=plan.quota, ballast=0)
        place = Place(plan.name, plan.home, plan.url, plan.token, quota, plan.broker)
        self._node = Node(place, clock)
        self._log = plan.memory / "accepted.log"

    async def run(self) -> None:
        """Produce and send until cancelled."""
        self._plan.memory.mkdir(parents=True, exist_ok=True)
        await self._node.open()
        try:
            async with asyncio.TaskGroup() as group:
                if not self._plan.first:
                    group.create_task(self._produce(), name="produce")
                else:
                    await self._produce()
                await self._node.link()
                group.create_task(self._node.ended(), name="link")
        finally:
            await self._node.close()

    async def _produce(self) -> None:
        number = len(self._log.read_text().splitlines()) if self._log.exists() else 0
        with self._log.open("a") as log:
            while not self._enough(number):
                reports = [_nth(number + one) for one in range(BATCH)]
                try:
                    events = await self._node.put(reports)
                except SpoolFullError:
                    await asyncio.sleep(0.2)
                    continue
                lines = [f"{e.id} {e.origincounter} {e.data['alarm_key']} {int(e.type == RAISED)}" for e in events]
                log.write("".join(f"{line}\n" for line in lines))
                log.flush()
                number += BATCH
                await asyncio.sleep(0 if self._plan.first else BATCH / self._plan.pace)
        (self._plan.memory / "done").touch()

    def _enough(self, number: int) -> bool:
        return number >= self._plan.first if self._plan.first else self._plan.until.exists()


def _nth(number: int) -> SensorReport:
    if number % ONCE_EACH == ONCE_EACH - 1:
        return report(f"once/{number}", 1, number)
    condition = Condition.CLEARED if number % 7 == 6 else Condition.ACTIVE
    return report(f"k{number % KEYS}", 2 + number % KEYS % 3, number, condition)


async def main(plans: str) -> None:
    """Run all nodes until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    clock = SteppedClock(Path(os.environ[VARIABLE]))
    nodes = [Sensors(NodePlan.model_validate(one), clock) for one in json.loads(plans)]
    tasks = [asyncio.ensure_future(node.run()) for node in nodes]
    stop = asyncio.ensure_future(ended.wait())
    done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, stop):
        task.cancel()
    await asyncio.gather(*tasks, stop, return_exceptions=True)
    for task in done - {stop}:
        await task


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text()))
