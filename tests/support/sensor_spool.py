"""The agent's intake on a real spool, which tells what it stored: what a sensor's test stands on."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.intake import Intake
from protocols.aio.clock import SystemClock
from protocols.aio.spool import Spool
from protocols.envelope import Event, Lane


@asynccontextmanager
async def sensor_spool(folder: Path, clock: SystemClock) -> AsyncIterator[tuple[Intake, list[Event]]]:
    """Open the spool; the events are those that are on its disk, in order."""
    spool = await Spool.open(folder / "spool.sqlite3", clock=clock)
    events: list[Event] = []

    class Store:
        next_origin_counter = staticmethod(spool.next_origin_counter)

        @staticmethod
        async def put_many(items: Iterable[tuple[Lane, Event]]) -> list[int]:
            items = list(items)
            numbers = await spool.put_many(items)
            events.extend(event for _, event in items)
            return numbers

    try:
        yield Intake("320623-box", Store(), clock), events
    finally:
        await spool.close()
