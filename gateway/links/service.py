"""The links to the nodes below: records in, receipts out, commands down.

Use it with `async with`; everything else may be called from then on and from any task of the loop.
"""

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel
from sqlalchemy import insert, select

from gateway.links.arrival import Arrival, EventHandler
from gateway.links.commands import CommandHandler, Commands
from gateway.links.ingest import Counts, Ingest, Policy
from gateway.links.needs import Branches, Directory
from gateway.links.presence import Change, Watch
from gateway.links.tables import gaps, link_log
from gateway.ports.store import UPPER, Quarantined, Store, UnitOfWork
from protocols.aio.clock import Clock
from protocols.aio.downlink import Downlink, DownlinkHandlers
from protocols.aio.mqtt import BrokerAddress
from protocols.aio.tasks import Supervisor
from protocols.aio.uplink import Outbox
from protocols.command import COMMAND, REPLY, Command, Reply, parse_reply
from protocols.envelope import Event, Lane
from protocols.errors import BadClockError, NotAllowedError, UnknownCentreError
from protocols.escalation import DOWNWARD
from protocols.health import LINK_STATE, Heartbeat, LinkReason, LinkState, LinkStatus, Presence
from protocols.ids import centre_of, is_gateway
from protocols.uplink import Frame, Receipt

__all__ = ["Arrival", "Command", "CommandHandler", "EventHandler", "Links"]

logger = logging.getLogger(__name__)
CLOCK_TOLERANCE = timedelta(hours=24)
TIDY_S = 30.0
LOOK_S = 1.0
"""A reply that another replica took is found this late where the bus lost its word."""


class Links:
    """Links to the children, and the one way of every event into the house."""

    def __init__(
        self,
        *,
        node: str,
        store: Store,
        clock: Clock,
        directory: Directory,
        counts: Counts,
        broker: Callable[[], BrokerAddress],
        has_upper: bool,
        branches: Branches | None = None,
    ) -> None:
        """`branches`: where replicas share the nodes; without it this process consumes all."""
        self._node = node
        self._branches = branches
        self._store = store
        self._clock = clock
        self._directory = directory
        self._counts = counts
        self._has_upper = has_upper
        self._tasks = Supervisor("links", clock=clock)
        self._ingest = Ingest(store, node, counts, branches)
        look_s = LOOK_S if branches is not None else math.inf
        self._commands = Commands(store, node, clock, directory, self._tasks, self.emit, look_s=look_s)
        self._handlers: dict[str, EventHandler] = {REPLY: self._commands}
        self._up = Policy(self._check_from_below, self._handlers, self._forward_up, leased=True)
        self._own = Policy(self._check_from_below, self._handlers, self._forward_both)
        self._handlers_down: dict[str, EventHandler] = {COMMAND: self._commands}
        self._down = Policy(self._check_from_above, self._handlers_down, self._forward_down)
        self._takeovers: dict[str, int] = {}
        self._broker = broker
        self.downlink = self._make_downlink()
        self.watch = Watch(clock, self._link_changed, lambda: self.connected)

    @property
    def connected(self) -> bool:
        """Tell whether the own broker is reached."""
        return self.downlink.status.status is LinkStatus.UP

    def _make_downlink(self) -> Downlink:
        async def outbox(node: str) -> Outbox:
            return self._store.outbox(node)

        handlers = DownlinkHandlers(self.take_up, outbox, self._presence, self._heartbeat)
        return Downlink(
            node=self._node,
            address=self._broker,
            handlers=handlers,
            store_epoch=lambda: self._store.epoch,
            clock=self._clock,
            shared=self._branches.id if self._branches is not None else None,
        )

    async def __aenter__(self) -> Self:
        for link in self._directory.links():
            if link.direct:
                self.downlink.serve(link.node)
                if self._branches is None:
                    self.watch.restore(link.node, link.status, link.reason)
        self._tasks.start("ingest", self._ingest.run)
        if self._branches is None:
            await self.lead()
        self._tasks.start("watch", self.watch.run)
        self._tasks.start("downlink", self.downlink.run)
        return self

    async def lead(self) -> None:
        """Carry out what the tier above asks, beginning with what a restart left, and keep house. Replicas: the leader.

        Others must not: a command would be carried out twice.
        """
        await self._commands.resume()
        self._tasks.start("tidy", self._tidy)

    async def own(self, nodes: frozenset[str]) -> None:
        """Consume these branches from now on, and no other; for replicas."""
        known = {link.node: link for link in self._directory.links()}
        for node in known.keys() | set(self.downlink.known()):
            if node not in nodes and self.downlink.owns(node):
                self.watch.forget(node)
            elif node in nodes and not self.downlink.owns(node) and node in known:
                self.watch.restore(node, known[node].status, known[node].reason)
        await self.downlink.own(nodes)

    def nodes(self) -> frozenset[str]:
        """Return the nodes whose branches somebody must consume: those that link here, and whoever was heard."""
        direct = {link.node for link in self._directory.links() if link.direct}
        return frozenset(direct | set(self.downlink.known()))

    def replied(self, reply: Reply) -> None:
        """Take that a reply is stored, by another replica perhaps: whoever waits for it here wakes."""
        self._commands.ring(reply)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.downlink.stop()
        await self._tasks.stop()

    @property
    def tasks(self) -> Supervisor:
        """The room's tasks, for figures."""
        return self._tasks

    # events

    def on_event(self, type_: str, handler: EventHandler) -> None:
        """Let `handler` take the events of one type; unknown types are stored and forwarded."""
        self._handlers[type_] = handler

    def on_event_from_above(self, type_: str, handler: EventHandler) -> None:
        """Let `handler` take the events of one type that come down from the tier above."""
        self._handlers_down[type_] = handler

    async def take_up(self, node: str, frame: Frame) -> Receipt:
        """Take a frame of a child: store, apply and send on in one transaction; the receipt is true on return."""
        return await self._ingest.take(node, frame, self._up)

    async def take_down(self, node: str, frame: Frame) -> Receipt:
        """Take a frame of the tier above: its commands are carried out here or passed to the next hop."""
        return await self._ingest.take(node, frame, self._down)

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        """Store an event of this gateway, let its room apply it, and owe it to the tier above.

        What concerns gateways below (`protocols.escalation.DOWNWARD`) is owed to the next one on the way too.
        """
        await self._ingest.admit(uow, [(self._own, Arrival(event, self._node, lane, (), uow.now))])

    def _check_from_below(self, sender: str, event: Event) -> None:
        """Judge what every record must be; raises BadInputError, NotAllowedError."""
        if event.type == COMMAND:
            raise NotAllowedError("commands come from above only")
        if event.time > self._clock.now() + CLOCK_TOLERANCE:
            raise BadClockError(f"time {event.time.isoformat()} lies over a day ahead; set the clock of {event.source}")
        centre, table = centre_of(event.source), self._directory.table
        if centre not in table:
            raise UnknownCentreError(f"source {event.source}: no row of the table of centres bears {centre}")
        within = table.covers(centre_of(sender), centre) if is_gateway(sender) else event.source == sender
        if not within:
            raise NotAllowedError(f"{sender} may not send events of {event.source}")

    def _check_from_above(self, _sender: str, _event: Event) -> None:
        """Take anything: unknown types of a newer tier are stored."""

    async def _forward_up(self, uow: UnitOfWork, arrival: Arrival) -> None:
        event = arrival.event
        if not self._has_upper or (event.type == REPLY and parse_reply(event.data).origin == self._node):
            return
        await uow.owe(UPPER, arrival.lane, event, arrival.hops)

    async def _forward_down(self, uow: UnitOfWork, arrival: Arrival) -> None:
        """Pass a word on an alarm to the next gateway on the way to its source; all else stays."""
        if arrival.event.type not in DOWNWARD:
            return
        hop = self._directory.hop_to(str(arrival.event.data["alarm_source"]))
        if hop is not None and is_gateway(hop):
            await uow.owe(hop, Lane.URGENT, arrival.event, arrival.hops)

    async def _forward_both(self, uow: UnitOfWork, arrival: Arrival) -> None:
        await self._forward_up(uow, arrival)
        await self._forward_down(uow, arrival)

    # commands

    def on_command(self, name: str, handler: CommandHandler) -> None:
        """Let `handler` carry out a command that addresses this gateway and return the reply's result.

        A SilianError becomes a `refused` or `failed` reply with its code.

        It runs in a task of its own, ends at the command's deadline (reply `expired`) and runs once per command id.
        """
        self._commands.on_command(name, handler)

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        """Send a command to a node below and wait for its reply; `Outcome.EXPIRED` after the deadline.

        Raises LinkError where no way leads to the node. Cancelling is safe: the command is then not waited for.
        """
        return await self._commands.ask(target, name, args, within_s=within_s)

    async def tell(self, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Send a command without waiting; returns its command id. Raises LinkError."""
        return await self._commands.tell(target, name, args, within_s=within_s)

    async def owe_command(self, uow: UnitOfWork, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Owe a command together with what a unit of work writes; returns its id. Raises LinkError."""
        return await self._commands.owe(uow, target, name, args, within_s=within_s)

    # presence

    async def expect(self, node: str) -> None:
        """Register a node that was enrolled and has not been seen: its link is `never`."""
        if node not in {link.node for link in self._directory.links()}:
            await self._link_changed(Change(node, LinkStatus.NEVER, None, ""))
        self.downlink.serve(node)

    async def _heartbeat(self, node: str, heartbeat: Heartbeat) -> None:
        self._directory.heard(node, heartbeat, self._clock.now(), heartbeat.rtt_ms)
        if self.downlink.owns(node):
            await self._note_takeover(node)
            await self.watch.heartbeat(node, heartbeat)

    async def _presence(self, node: str, presence: Presence) -> None:
        await self._note_takeover(node)
        await self.watch.presence(node, presence)

    async def _note_takeover(self, node: str) -> None:
        seen = self.downlink.takeovers(node)
        if seen > self._takeovers.get(node, 0):
            self._takeovers[node] = seen
            await self.watch.taken_over(node)

    async def _link_changed(self, change: Change) -> None:
        async with self._store.unit() as uow:
            state = LinkState(
                gateway=self._node,
                node=change.node,
                status=change.status,
                reason=change.reason,
                since=uow.now,
                version=change.version,
            )
            row = {"node": change.node, "status": change.status.value, "reason": change.reason, "at": uow.now}
            await uow.execute(insert(link_log), [row])
            await self.emit(uow, uow.mint(LINK_STATE, state.model_dump(mode="json"), subject=change.node), Lane.LIVE)
        if change.status is LinkStatus.DOWN:
            reason = change.reason or LinkReason.TIMEOUT
            self._counts.count("link_reconnects_total", centre=centre_of(change.node), reason=reason.value)

    # what went wrong

    async def quarantine(self, limit: int) -> list[Quarantined]:
        """Return records that peers refused, newest first."""
        return list(await self._store.quarantine(limit))

    async def resend(self, quarantine_id: int) -> None:
        """Owe a refused record again under a new number; raises NotFoundError, WrongMomentError."""
        await self._store.resend(quarantine_id)

    async def gaps(self, limit: int) -> list[dict[str, Any]]:
        """Return the named gaps, newest first."""
        async with self._store.reading() as reader:
            rows = (await reader.execute(select(gaps).order_by(gaps.c.id.desc()).limit(limit))).mappings().all()
        return [{key: _plain(value) for key, value in row.items()} for row in rows]

    async def _tidy(self) -> None:
        while True:
            await self._store.tidy()
            await self._commands.forget()
            await self._clock.sleep(TIDY_S)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
