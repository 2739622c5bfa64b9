"""The process that plays agents for `silian bench alarms`: `python -m gateway.bench.alarm_load`, driven by JSON lines.

Moments are CLOCK_MONOTONIC, which all processes of a machine share.
"""

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

from gateway.bench.child import Answer, serve
from gateway.bench.node import Node, Place, paced, report
from protocols.aio.interpreter import settle
from protocols.aio.spool import MIB, Quota
from protocols.alarm import Condition, SensorReport
from protocols.envelope import BATCH_RECORDS

KEYS = 200
CLEAR_EACH = 7
"""Each seventh report clears its alarm, so that episodes end and begin as in the field."""
Told = tuple[str, str, str, int, int, float]
"""Event id, source, alarm key, number, severity, moment of the commit at the edge."""


class Load:
    """All nodes of the run, by name."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._numbers = itertools.count()

    async def open(self, *, name: str, folder: str, url: str, token: str) -> Answer:
        """Open a node's spool; it is not linked yet."""
        place = Place(name, Path(folder), url, token, Quota(total=512 * MIB))
        self._nodes[name] = Node(place)
        await self._nodes[name].open()
        return {}

    async def link(self, *, name: str) -> Answer:
        """Link a node and wait until the gateway answers; tells when it was up."""
        await self._nodes[name].link()
        await self._nodes[name].up.wait()
        return {"at": time.monotonic()}

    async def unlink(self, *, name: str) -> Answer:
        """Cut a node's link."""
        await self._nodes[name].unlink()
        return {}

    async def burst(self, *, name: str, count: int, kind: str, settle: bool = True) -> Answer:
        """Put `count` alarms as fast as the spool takes them; with `settle`, until all are receipted.

        What the sensors say is made before the clock runs: they are other machines.
        """
        node = self._nodes[name]
        said = [self._report(kind, 3) for _ in range(count)]
        before, began = node.settled.stored, time.monotonic()
        for first in range(0, count, BATCH_RECORDS):
            await node.put(said[first : first + BATCH_RECORDS])
        put = time.monotonic()
        ended = await node.settled.reach(before + count) if settle else put
        return {"began": began, "put": put, "ended": ended}

    async def steady(
        self, *, names: list[str], rate: float, seconds: float, kind: str, severities: list[int]
    ) -> Answer:
        """Put one alarm after the other over all nodes; tells the `Told` of each, by the moment of its commit."""
        told: list[Told] = []
        turns = itertools.cycle(names)
        grades = itertools.cycle(severities)
        async with asyncio.TaskGroup() as group:

            async def tick(_: int) -> None:
                group.create_task(self._one(next(turns), kind, next(grades), told), name="put")

            await paced(rate, seconds, tick)
        return {"told": sorted(told, key=lambda one: one[5])}

    async def _one(self, name: str, kind: str, severity: int, told: list[Told]) -> None:
        made = self._report(kind, severity)
        (event,) = await self._nodes[name].put([made])
        told.append((event.id, name, made.alarm_key, int(made.value or 0), severity, time.monotonic()))

    def _report(self, kind: str, severity: int) -> SensorReport:
        number = next(self._numbers)
        ends = number % CLEAR_EACH == CLEAR_EACH - 1
        condition = Condition.CLEARED if ends else Condition.ACTIVE
        return report(f"{kind}/{severity}/{number % KEYS}", severity, number, condition)

    async def first_receipt(self, *, name: str) -> Answer:
        """Put one alarm and wait for the next receipt of the node; tells its moment."""
        node = self._nodes[name]
        before = node.settled.stored
        await node.put([self._report("first", 3)])
        return {"at": await node.settled.reach(before + 1)}

    async def close(self) -> Answer:
        """Close all nodes."""
        for node in self._nodes.values():
            await node.close()
        self._nodes.clear()
        return {}


async def main() -> None:
    """Answer until standard input ends."""
    load = Load()
    settle()
    handlers: dict[str, Any] = {
        name: getattr(load, name) for name in ("open", "link", "unlink", "burst", "steady", "first_receipt", "close")
    }
    try:
        await serve(handlers)
    finally:
        await load.close()


if __name__ == "__main__":
    asyncio.run(main())
