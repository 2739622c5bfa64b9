"""The agent's side of the link: heartbeats and catalogue up, commands down, replies up.

**A command is on disk before it is carried out, and its reply is on disk before it is sent.** The link itself
(connecting, resending, receipts) is `protocols.aio.uplink`.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from edge_agent.orders import Orders
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.mqtt import BrokerAddress
from protocols.aio.spool import Spool
from protocols.aio.tasks import Supervisor
from protocols.aio.uplink import Uplink, UplinkHandlers, UplinkStatus
from protocols.command import COMMAND, REPLY, Command, parse_command
from protocols.envelope import Event, Lane, Record
from protocols.errors import BadIdentityError, SilianError
from protocols.health import CATALOGUE, Catalogue, Heartbeat, LinkStatus
from protocols.uplink import Frame, Receipt

logger = logging.getLogger(__name__)


class Link:
    """Joins spool, uplink and orders of one node; `run` until cancelled."""

    def __init__(
        self,
        node: str,
        version: str,
        spool: Spool,
        orders: Orders,
        clock: Clock,
        tasks: Supervisor,
        *,
        heartbeat: Callable[[int], Awaitable[Heartbeat]],
        catalogue: Callable[[], Catalogue],
    ) -> None:
        self.counters: Counter[str] = Counter()
        """`unknown_type`: records from above that this version does not know; `down_<reason>`: links lost."""
        self.uplink: Uplink | None = None
        self._node = node
        self._version = version
        self._spool = spool
        self._orders = orders
        self._clock = clock
        self._tasks = tasks
        self._heartbeat = heartbeat
        self._catalogue = catalogue
        self.changed: Callable[[bool], None] = lambda _: None
        """Told whether the link is up, whenever that changes."""
        self._was_up = False

    @property
    def up(self) -> bool:
        """Whether the gateway above answers."""
        return self.uplink is not None and self.uplink.status.status is LinkStatus.UP

    async def run(self, address: BrokerAddress | Callable[[], BrokerAddress]) -> None:
        """Keep the link until cancelled or `stop`ped; takes up what a restart left unanswered."""
        for command in self._orders.journal.open():
            self._take_up(command)
        self.uplink = Uplink(
            node=self._node,
            address=address,
            outbox=self._spool,
            handlers=UplinkHandlers(self._receive, self._heartbeat, self._on_status),
            clock=self._clock,
            version=self._version,
        )
        await self.uplink.run()

    async def stop(self) -> None:
        """Say goodbye to the gateway; safe before `run`."""
        if self.uplink is not None:
            await self.uplink.stop()

    def _on_status(self, status: UplinkStatus) -> None:
        up = status.status is LinkStatus.UP
        if up == self._was_up and up:
            return
        self._was_up = up
        self._spool.note_link(up=up)
        self.changed(up)
        if up:
            self._tasks.start(f"catalogue {new_ulid(self._clock)}", self.send_catalogue, restart=False)
        elif status.reason is not None:
            self.counters[f"down_{status.reason}"] += 1

    async def send_catalogue(self) -> None:
        """Tell the tiers above which cameras stand here."""
        await self.tell(Lane.LIVE, CATALOGUE, self._catalogue().model_dump(mode="json"))

    async def _receive(self, node: str, frame: Frame) -> Receipt:
        return await self._spool.receive(self._node, node, frame, self._handle)

    async def _handle(self, record: Record) -> None:
        if record.event.type != COMMAND:
            self.counters["unknown_type"] += 1
            logger.warning("record of unknown type from above", extra={"type": record.event.type})
            return
        command = parse_command(record.event.data)
        if command.target != self._node:
            raise BadIdentityError(f"command {command.command_id} is for {command.target}, this node is {self._node}")
        self._orders.journal.begin(command)
        self._take_up(command)

    def _take_up(self, command: Command) -> None:
        name = f"command {command.command_id}"
        if not self._tasks.running(name):  # handed over twice after a crash of its sender: it is being carried out
            self._tasks.start(name, lambda: self._carry_out(command), restart=False)

    async def _carry_out(self, command: Command) -> None:
        reply = await self._orders.answer(command)
        await self.tell(Lane.URGENT, REPLY, reply.model_dump(mode="json"))
        self._orders.journal.end(command)

    async def put(self, lane: Lane, type_: str, data: dict[str, Any], id_: str | None = None) -> None:
        """Put a record into the spool under an id of the caller's choice; raises SpoolFullError, TooLargeError."""
        event = Event(
            id=id_ or new_ulid(self._clock),
            source=self._node,
            type=type_,
            time=self._clock.now(),
            data=data,
            origincounter=await self._spool.next_origin_counter(),
        )
        await self._spool.put(lane, event)

    async def tell(self, lane: Lane, type_: str, data: dict[str, Any]) -> None:
        """Put a record into the spool; one that does not fit is counted and logged."""
        try:
            await self.put(lane, type_, data)
        except SilianError as error:
            self.counters[f"unsent_{error.code}"] += 1
            logger.exception("not sent", extra={"type": type_, "code": error.code})
