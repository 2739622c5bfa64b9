"""The upper end of all links of one gateway: one connection to its own broker, every node below on it.

Receives `up/*`, answers with receipts after the commit, sends `down/*` from one outbox per child, reports presence
and heartbeats. **Frames of one node and lane are handled one after the other, nodes beside each other.**

Replicas of a gateway share the nodes (`shared`): each hears all presences and heartbeats, and takes records and
receipts of those branches only that `own` names. Whoever takes a branch over greets its node like a gateway that came
back, and the protocol's own question "what have you got" brings both up to date.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from protocols import topics
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.desk import Desk
from protocols.aio.mqtt import BrokerAddress, Message, MqttError, MqttLink
from protocols.aio.pump import Pump
from protocols.aio.tasks import Supervisor, together
from protocols.aio.uplink import DRAIN_S, Outbox, Receive, UplinkStatus, reason_of
from protocols.backoff import Backoff
from protocols.envelope import DURABLE_LANES, Event, Lane, first_fault
from protocols.errors import BadSchemaError, BadTopicError, SilianError
from protocols.health import HEARTBEAT, Heartbeat, LinkReason, LinkStatus, Presence
from protocols.topics import Direction
from protocols.uplink import Frame, Receipt, Refusal, parse_frame, parse_receipt

logger = logging.getLogger(__name__)
SESSIONS_REMEMBERED = 16
OWN_BROKER = Backoff(base=0.25, cap=5.0, floor=0.1)
"""The own broker is near: look for it often."""


@dataclass(frozen=True, slots=True)
class DownlinkHandlers:
    """What the gateway supplies.

    `receive(node, frame)` is awaited per frame; frames of the telemetry lane never reach it: heartbeats go to
    `on_heartbeat`, anything else there to `on_telemetry`. `outbox(node)` is awaited once per child, when the child is
    first seen or `serve` names it. `on_presence` gets each change of a child's retained state, the will included.
    """

    receive: Receive
    outbox: Callable[[str], Awaitable[Outbox]]
    on_presence: Callable[[str, Presence], Awaitable[None]]
    on_heartbeat: Callable[[str, Heartbeat], Awaitable[None]]
    on_telemetry: Callable[[str, Event], Awaitable[None]] | None = None
    on_status: Callable[[UplinkStatus], None] = lambda _: None


@dataclass(slots=True)
class _Child:
    """What the downlink knows of one node below."""

    node: str
    session: str | None = None
    online: bool = False
    presence: Presence | None = None
    past: list[str] = field(default_factory=list)
    takeovers: int = 0
    pump: Pump | None = None
    peer_session: str | None = None


class Downlink:
    """Drive with `run()`; read `status` (of the connection to the own broker) and `counters` at any time.

    counters: connects, connect_failures, frames_received, frames_bad, frames_foreign, records_received, receipts_sent,
    receive_failures, heartbeats, telemetry_unheard, presence_stale, frames_not_own, handler_failures, frames_sent,
    records_sent, records_resent, receipts, receipts_bad, receipts_foreign, records_stored, records_refused, replayed,
    gaps, gap_asks, settle_failures, publish_refused, takeovers, crashes.
    """

    def __init__(
        self,
        *,
        node: str,
        address: BrokerAddress | Callable[[], BrokerAddress],
        handlers: DownlinkHandlers,
        store_epoch: str | Callable[[], str],
        clock: Clock,
        backoff: Backoff | None = None,
        shared: str | None = None,
    ) -> None:
        """`shared` is the name that tells this replica's connection from others' at the same broker."""
        self.node = node
        self.counters: Counter[str] = Counter()
        self._address = address
        self._handlers = handlers
        self._store_epoch = store_epoch
        self._clock = clock
        self._backoff = backoff or OWN_BROKER
        self._children: dict[str, _Child] = {}
        self._status = UplinkStatus(LinkStatus.NEVER, None, clock.now())
        self._stopping = asyncio.Event()
        self._hint = asyncio.Event()
        self._attempt = 0
        self._link: MqttLink | None = None
        self._desk: Desk | None = None
        self._pumps: Supervisor | None = None
        self._client_id = f"{node}-downlink" if shared is None else f"{node}-downlink-{shared}"
        self._own: frozenset[str] | None = None if shared is None else frozenset()

    @property
    def status(self) -> UplinkStatus:
        """Return the state of the connection to the own broker."""
        return self._status

    def serve(self, node: str) -> None:
        """Start sending what is owed to `node` (known from the registry); naming it again does nothing."""
        self._pump_for(self._child(node))

    def owns(self, node: str) -> bool:
        """Tell whether this process consumes the branch of `node`; one that shares with nobody consumes all."""
        return self._own is None or node in self._own

    async def own(self, nodes: frozenset[str]) -> None:
        """Consume these branches from now on, and no other; for replicas only."""
        if self._own is None:
            raise AssertionError("a gateway that shares with nobody has every branch")
        gained, lost, self._own = nodes - self._own, self._own - nodes, nodes
        for node in sorted(lost):
            await self._let_go(self._child(node))
        for node in sorted(gained):
            await self._take_over(self._child(node))

    def known(self) -> tuple[str, ...]:
        """Return the nodes that were ever heard or named, also those whose branch is another replica's."""
        return tuple(self._children)

    def takeovers(self, node: str) -> int:
        """Return how often a second session of `node` replaced a living one (duplicated identity)."""
        return self._child(node).takeovers

    def rtt_s(self, node: str) -> float | None:
        """Return the receipt round trip of records sent down to `node`, None before the first."""
        pump = self._child(node).pump
        return None if pump is None else pump.sender.rtt_s

    async def run(self) -> None:
        """Keep the connection until cancelled or `stop`ped; network trouble never ends it."""
        while not self._stopping.is_set():
            self._hint.clear()
            try:
                await self._connected()
            except SilianError as error:
                self._change(LinkStatus.DOWN, reason_of(error), str(error))
            except Exception as error:
                self.counters["crashes"] += 1
                logger.exception("downlink crashed", extra={"node": self.node})
                self._change(LinkStatus.DOWN, LinkReason.PEER_CLOSED, f"{type(error).__name__}: {error}")
            if self._stopping.is_set():
                break
            pause = self._backoff.delay(self._attempt, random.random())  # noqa: S311 - jitter, no secret
            self._attempt += 1
            await self._clock.wait(self._hint, pause)
        self._change(LinkStatus.DOWN, LinkReason.AGENT_STOPPED, "stopped")

    async def stop(self) -> None:
        """End `run` after the frames in hand are committed and receipted; safe to call twice."""
        self._stopping.set()
        self._hint.set()

    def network_is_back(self) -> None:
        """Hint that the broker may be back: the running pause ends and the back-off starts over."""
        self._attempt = 0
        self._hint.set()

    async def _connected(self) -> None:
        address = self._address() if callable(self._address) else self._address
        reached = self.counters["connects"]
        try:
            async with MqttLink(address, self._client_id, receive_maximum=128) as link:
                self.counters["connects"] += 1
                await self._session_on(link)
        except MqttError:
            self.counters["connect_failures"] += reached == self.counters["connects"]
            raise
        finally:
            self._link = self._desk = self._pumps = None

    async def _session_on(self, link: MqttLink) -> None:
        desk = self._desk = Desk(
            receive=self._handlers.receive,
            publish=lambda node, body: link.publish(topics.receipts(node, Direction.UP), body),
            link=link,
            session=new_ulid(self._clock),
            clock=self._clock,
            counters=self.counters,
        )
        async with Supervisor(f"downlink {self.node}", clock=self._clock) as pumps:
            self._link, self._pumps = link, pumps
            await link.subscribe(*self._subscriptions())
            self._attempt = 0
            self._change(LinkStatus.UP, None, "")
            for child in self._children.values():
                self._pump_for(child)
            jobs = {"downlink.read": self._read(link, desk), "downlink.desk": desk.run()}
            await together({**jobs, "downlink.stop": self._drain(desk)})

    def _subscriptions(self) -> list[str]:
        every = f"{topics.ROOT}/+"
        if self._own is None:
            return [*_branch(every), f"{every}/up/{Lane.TELEMETRY}", f"{every}/state"]
        own = [topic for node in sorted(self._own) for topic in _branch(f"{topics.ROOT}/{node}")]
        return [f"{every}/up/{Lane.TELEMETRY}", f"{every}/state", *own]

    async def _take_over(self, child: _Child) -> None:
        if self._link is None:
            return  # the next session subscribes to all that is owned
        logger.info("branch taken over", extra={"node": child.node})
        try:
            await self._link.subscribe(*_branch(f"{topics.ROOT}/{child.node}"))
            if child.presence is not None:
                await self._guarded(self._handlers.on_presence(child.node, child.presence), child.node)
                if child.presence.online:
                    await self._greet(child, child.presence.session, twin=False)
        except SilianError as error:
            # The reader of the link hears of its end too; a broker that refuses refuses the next session as well.
            logger.warning("branch not subscribed", extra={"node": child.node, "error": str(error)})
            return
        self._pump_for(child)

    async def _let_go(self, child: _Child) -> None:
        logger.info("branch let go", extra={"node": child.node})
        if self._link is not None:
            self._link.unsubscribe(*_branch(f"{topics.ROOT}/{child.node}"))
        if self._desk is not None:
            self._desk.forget(child.node)
        if self._pumps is not None:
            await self._pumps.cancel(f"pump[{child.node}]")
        child.pump = child.peer_session = None  # another replica sends now: what was in flight here is out of date

    async def _drain(self, desk: Desk) -> None:
        await self._stopping.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await desk.drained()

    async def _read(self, link: MqttLink, desk: Desk) -> None:
        async for message in link.messages():
            try:
                await self._take(message, link, desk)
            except SilianError as error:
                if isinstance(error, MqttError):
                    raise
                link.ack(message)  # it would be as bad the next time; nothing in it can be refused by number
                kind = "receipts_bad" if "/rcpt/" in message.topic else "frames_bad"
                self.counters["frames_foreign" if isinstance(error, BadTopicError) else kind] += 1
                logger.warning("message not understood", extra={"topic": message.topic, "error": str(error)})

    async def _take(self, message: Message, link: MqttLink, desk: Desk) -> None:
        topic = topics.parse(message.topic)
        child = self._child(topic.node)
        if isinstance(topic, topics.StateTopic):
            await self._take_presence(child, message)
        elif not self.owns(topic.node) and not _is_telemetry(topic):
            self.counters["frames_not_own"] += 1  # on its way when the branch changed hands: it is sent again
        elif isinstance(topic, topics.ReceiptTopic):
            self._take_receipt(child, parse_receipt(message.payload))
        else:
            frame = parse_frame(message.payload)
            if frame.node != topic.node or frame.lane is not topic.lane:
                raise BadTopicError(f"frame of {frame.node}/{frame.lane} on the branch of {topic.node}/{topic.lane}")
            if frame.lane is not Lane.TELEMETRY:
                desk.take(topic.node, frame, message)
                return
            await self._take_telemetry(child, frame, desk)
        link.ack(message)

    async def _take_presence(self, child: _Child, message: Message) -> None:
        if not message.payload:
            return  # a retained state that was cleared
        try:
            presence = Presence.model_validate_json(message.payload)
        except ValidationError as error:
            raise BadSchemaError(first_fault(error)) from None
        if presence.node != child.node:
            raise BadTopicError(f"presence of {presence.node} on the branch of {child.node}")
        if not presence.online and child.online and presence.session != child.session:
            self.counters["presence_stale"] += 1  # the last will of a session that another has replaced
            return
        twin = presence.online and presence.session in child.past and presence.session != child.session
        if presence.session != child.session:
            child.past = [*child.past[1 - SESSIONS_REMEMBERED :], child.session] if child.session else child.past
            child.session = presence.session
        child.online = presence.online
        if twin:
            # A session that had been replaced is back: two boxes bear this name and chase each other off the broker.
            child.takeovers += 1
            self.counters["takeovers"] += 1
            presence = presence.model_copy(update={"reason": LinkReason.TAKEOVER})
        child.presence = presence
        if not self.owns(child.node):
            return
        if presence.online:
            await self._greet(child, presence.session, twin=twin)
            self._pump_for(child)
        elif self._desk is not None:
            self._desk.forget(child.node)
        await self._guarded(self._handlers.on_presence(child.node, presence), child.node)

    async def _greet(self, child: _Child, session: str, *, twin: bool) -> None:
        """Let the child know that we are here (anew): it asks what we have and sends what we lack."""
        refused = (Refusal(seq=1, code=LinkReason.TAKEOVER, detail="another session bears this name"),) if twin else ()
        await self._hear(child.node, session, 0, refused)

    async def _take_telemetry(self, child: _Child, frame: Frame, desk: Desk) -> None:
        for record in frame.records:
            event = record.event
            if event.type == HEARTBEAT:
                try:
                    beat = Heartbeat.model_validate(event.data)
                except ValidationError as error:
                    raise BadSchemaError(first_fault(error)) from None
                self.counters["heartbeats"] += 1
                if self.owns(child.node):
                    await self._hear(child.node, frame.epoch, record.seq, ())
                await self._guarded(self._handlers.on_heartbeat(child.node, beat), child.node)
            elif self._handlers.on_telemetry is not None:
                await self._guarded(self._handlers.on_telemetry(child.node, event), child.node)
            else:
                self.counters["telemetry_unheard"] += 1

    def _take_receipt(self, child: _Child, receipt: Receipt) -> None:
        pump, anew = self._pump_for(child), False
        if receipt.session is not None and receipt.session != child.peer_session:
            anew = child.peer_session is not None
            child.peer_session = receipt.session
        if pump is not None:
            pump.hear(receipt, anew=anew)

    async def _hear(self, node: str, epoch: str, number: int, refused: tuple[Refusal, ...]) -> None:
        if self._link is None or self._desk is None:
            return
        receipt = Receipt(
            node=self.node,
            epoch=epoch,
            lane=Lane.TELEMETRY,
            refused=refused,
            high=number,
            store_epoch=self._store_epoch() if callable(self._store_epoch) else self._store_epoch,
            at=self._clock.now(),
        )
        body = self._desk.stamp(receipt).model_dump_json(exclude_none=True).encode()
        await self._link.publish(topics.receipts(node, Direction.UP), body, qos=0)

    async def _guarded(self, call: Awaitable[None], node: str) -> None:
        """Await a handler of the gateway; its crash is logged and counted and does not end the link."""
        try:
            await call
        except Exception:
            self.counters["handler_failures"] += 1
            logger.exception("handler failed", extra={"node": node})

    def _child(self, node: str) -> _Child:
        return self._children.setdefault(node, _Child(node))

    def _pump_for(self, child: _Child) -> Pump | None:
        """Return the pump of a child and see that it runs while we are connected."""
        if not self.owns(child.node):
            return None
        name = f"pump[{child.node}]"
        if self._pumps is not None and not self._pumps.running(name):
            self._pumps.start(name, lambda: self._pump(child))
        return child.pump

    async def _pump(self, child: _Child) -> None:
        if child.pump is None:
            outbox = await self._handlers.outbox(child.node)
            child.pump = Pump(node=self.node, outbox=outbox, clock=self._clock, counters=self.counters)
        link = self._link
        if link is None:
            return
        try:
            await child.pump.run(
                lambda lane, body: link.publish(topics.records(child.node, Direction.DOWN, lane), body)
            )
        except MqttError:
            return  # the reader of the link hears it too and speaks for all

    def _change(self, status: LinkStatus, reason: LinkReason | None, detail: str) -> None:
        if (self._status.status, self._status.reason) == (status, reason):
            return
        self._status = UplinkStatus(status, reason, self._clock.now(), detail)
        logger.info("downlink %s", status, extra={"node": self.node, "reason": reason, "detail": detail})
        self._handlers.on_status(self._status)


def _branch(root: str) -> list[str]:
    """Return what is subscribed of one node's branch by whoever consumes it."""
    return [*(f"{root}/up/{lane}" for lane in DURABLE_LANES), f"{root}/rcpt/down"]


def _is_telemetry(topic: topics.Topic) -> bool:
    return isinstance(topic, topics.RecordTopic) and topic.lane is Lane.TELEMETRY
