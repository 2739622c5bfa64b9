"""Watching the links: heartbeats and presences in, changes out."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.links.machine import Changed, LinkMachine
from protocols.aio.clock import Clock
from protocols.errors import StoreAwayError
from protocols.health import Heartbeat, LinkReason, LinkStatus, Presence

logger = logging.getLogger(__name__)
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """The link of one node changed."""

    node: str
    status: LinkStatus
    reason: LinkReason | None
    version: str


class Watch:
    """One machine per node. `report` is awaited for every change, in order per node.

    A change that cannot be stored because the database is away is kept, and reported again until it is.
    """

    def __init__(
        self, clock: Clock, report: Callable[[Change], Awaitable[None]], broker_up: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._report = report
        self._broker_up = broker_up
        self._machines: dict[str, LinkMachine] = {}
        self._versions: dict[str, str] = {}
        self._unsaid: dict[str, deque[Change]] = {}
        self._saying: set[str] = set()
        self._sooner = asyncio.Event()

    def restore(self, node: str, status: LinkStatus, reason: LinkReason | None) -> None:
        """Go on with what was known before a restart."""
        self._machines[node] = LinkMachine.restored(status, reason, self._clock.monotonic())

    def forget(self, node: str) -> None:
        """Watch a node no more: another replica does."""
        self._machines.pop(node, None)
        self._unsaid.pop(node, None)

    def status(self, node: str) -> LinkStatus:
        """Return the present state of a node's link."""
        return self._machine(node).status

    async def heartbeat(self, node: str, _heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""
        await self._tell(node, self._machine(node).heartbeat(self._clock.monotonic()))

    async def presence(self, node: str, presence: Presence) -> None:
        """Take a retained or fresh presence."""
        machine = self._machine(node)
        self._versions[node] = presence.version
        if presence.online:
            machine.online(presence.session)
        else:
            await self._tell(node, machine.offline(presence.session, presence.reason))

    async def taken_over(self, node: str) -> None:
        """Take that two sessions of one node fight."""
        await self._tell(node, self._machine(node).taken_over())

    async def run(self) -> None:
        """Let time pass for ever."""
        while True:
            deadlines = [m.deadline for m in self._machines.values() if m.deadline is not None]
            rest = max(0.0, min(deadlines) - self._clock.monotonic()) if deadlines else None
            if self._unsaid:
                rest = min(AGAIN_S, AGAIN_S if rest is None else rest)
            await self._clock.wait(self._sooner, rest)
            self._sooner.clear()
            now = self._clock.monotonic()
            for node, machine in list(self._machines.items()):
                await self._tell(node, machine.tick(now, broker_up=self._broker_up()))
            for node in list(self._unsaid):
                await self._say(node)

    def _machine(self, node: str) -> LinkMachine:
        if node not in self._machines:
            self._machines[node] = LinkMachine()
        return self._machines[node]

    async def _tell(self, node: str, changed: Changed | None) -> None:
        if changed is None:
            return
        self._sooner.set()
        level = logging.INFO if changed.status is LinkStatus.UP else logging.WARNING
        logger.log(level, "link %s", changed.status, extra={"node": node, "reason": changed.reason})
        change = Change(node, changed.status, changed.reason, self._versions.get(node, ""))
        self._unsaid.setdefault(node, deque()).append(change)
        await self._say(node)

    async def _say(self, node: str) -> None:
        """Report what has not been reported of a node, one at a time; a second caller leaves it to the first."""
        if node in self._saying:
            return
        self._saying.add(node)
        try:
            while changes := self._unsaid.get(node):
                change = changes.popleft()
                try:
                    await self._report(change)
                except StoreAwayError as error:
                    changes.appendleft(change)
                    logger.warning("link change not stored yet", extra={"node": node, "error": str(error)})
                    return
            self._unsaid.pop(node, None)
        finally:
            self._saying.discard(node)
