"""Joins the event bus of this process with the port `bus`: what was committed here is told to the other replicas.

Events of the others are published here as if they had happened here, after what memory holds of their subject was read
again (`before`). Where some were missed, everybody is told `Overflowed`: read the state anew.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from gateway.events import (
    AlarmChanged,
    CallChanged,
    CatalogueChanged,
    CommandReplied,
    DutyChanged,
    EscalationChanged,
    EventBus,
    LinkChanged,
    Overflowed,
    ReportChanged,
    RollCallChanged,
)
from gateway.metrics import Metrics
from gateway.ports.bus import Bus, Ears
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.tasks import Supervisor

logger = logging.getLogger(__name__)
SHARED: tuple[type[Any], ...] = (
    AlarmChanged,
    CallChanged,
    CatalogueChanged,
    CommandReplied,
    DutyChanged,
    EscalationChanged,
    LinkChanged,
    ReportChanged,
    RollCallChanged,
)
"""Events that speak of rows, which all replicas have; others speak of sessions and workers of one process."""
Refresh = Callable[[], Awaitable[None]]


class Codec:
    """Events as JSON, by the name of their class."""

    def __init__(self, types: Sequence[type[Any]]) -> None:
        self._adapters: dict[str, TypeAdapter[Any]] = {one.__name__: TypeAdapter(one) for one in types}

    def encode(self, event: object) -> bytes | None:
        """Return the event in JSON, None for one that stays in its process."""
        name = type(event).__name__
        adapter = self._adapters.get(name)
        if adapter is None:
            return None
        return json.dumps([name, adapter.dump_python(event, mode="json")], ensure_ascii=False).encode()

    def decode(self, body: bytes) -> object | None:
        """Return the event, None where this version does not know it or it does not parse."""
        try:
            name, data = json.loads(body)
            adapter = self._adapters.get(name)
            return None if adapter is None else adapter.validate_python(data)
        except (ValueError, TypeError, ValidationError):
            return None


class Bridge:
    """Give `tell` to the store as the one who is told of commits; use it with `async with` inside the bus's own."""

    def __init__(
        self,
        bus: Bus,
        events: EventBus,
        clock: Clock,
        metrics: Metrics,
        *,
        further: Sequence[type[Any]] = (),
        before: Mapping[type[Any], Refresh] | None = None,
    ) -> None:
        """`before` says what is read again before an event of a type is told; it may be filled later."""
        self._bus = bus
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._codec = Codec((*SHARED, *further))
        self._before = before if before is not None else {}
        self._queue: list[object] = []
        self._filled = asyncio.Event()
        self._tasks = Supervisor("bridge", clock=clock)
        bus.listen(Ears(self._heard, self._missed))
        metrics.live("bus_up", lambda: [((), float(bus.health.up))])
        metrics.live("bus_waiting", lambda: [((), float(bus.health.waiting))])
        metrics.live("bus_given_up_total", lambda: [((), float(bus.health.given_up))])
        metrics.live("bus_missed_total", lambda: [((), float(bus.health.missed))])

    async def __aenter__(self) -> Self:
        self._tasks.start("heard", self._run)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()

    def tell(self, event: object) -> None:
        """Publish an event of this process here, and announce it to the others."""
        self._events.publish(event)
        body = self._codec.encode(event)
        if body is not None:
            self._bus.announce(new_ulid(self._clock), body)

    def _heard(self, body: bytes) -> None:
        event = self._codec.decode(body)
        if event is None:
            self._metrics.count("bus_unknown_total")
            logger.warning("event not understood", extra={"event": body[:200].decode("utf-8", "replace")})
            return
        self._queue.append(event)
        self._filled.set()

    def _missed(self, count: int) -> None:
        self._queue.append(Overflowed(max(count, 1)))
        self._filled.set()

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            events, self._queue = self._queue, []
            everything = any(isinstance(event, Overflowed) for event in events)
            kinds = {type(event) for event in events}
            for refresh in {one: None for kind, one in self._before.items() if everything or kind in kinds}:
                try:
                    await refresh()
                except Exception:
                    logger.exception("memory not read again")
            for event in events:
                self._events.publish(event)
