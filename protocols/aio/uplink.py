"""The lower end of a link: connects to the upper tier's broker, sends up, receives down, never gives up.

The same class serves an agent (with a `Spool`) and a gateway towards the tier above (with its store). **A link is up
when the gateway above answers, not when its broker does.**
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocols import topics
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.desk import Desk
from protocols.aio.mqtt import BrokerAddress, Message, MqttError, MqttLink, Will
from protocols.aio.pump import Pump
from protocols.aio.tasks import together
from protocols.backoff import Backoff
from protocols.envelope import DURABLE_LANES, Event, Lane
from protocols.errors import ConfigError, SilianError
from protocols.health import (
    HEARTBEAT,
    HEARTBEAT_S,
    SILENCE_S,
    WILL_DELAY_S,
    Heartbeat,
    LinkReason,
    LinkStatus,
    Presence,
)
from protocols.ranges import Ranges
from protocols.receiver import Held
from protocols.topics import Direction
from protocols.uplink import Frame, Parcel, Receipt, pack, parse_frame, parse_receipt, record_parcel

logger = logging.getLogger(__name__)
SESSION_EXPIRY_S = 60
"""The broker keeps our session so long: only a session that lives on lets the last will wait its 10 s."""
RECONNECT = Backoff(base=0.25, cap=4.0, floor=0.1)
"""A county that comes back is wanted at once; an attempt each two seconds on average burdens no broker."""
AT_THE_DOOR = Backoff(base=0.25, cap=1.0, floor=0.1)
"""Where the machine above says at once that nobody listens, a gateway starts anew: to ask again costs it one packet."""
DRAIN_S = 5.0
TAKEOVER_PAUSE_S = 30.0
"""Two boxes with one name must not chase each other off the broker many times a second."""

Receive = Callable[[str, Frame], Awaitable[Receipt]]
"""Called as (sending node, frame): store everything of it in one transaction, commit, return the receipt.

An exception means that nothing was stored: no receipt goes out and the sender sends again. See protocols.receiver.
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a receipt changed: how many records are now known to be stored, how many went to quarantine."""

    stored: int = 0
    refused: int = 0


class Outbox(Protocol):
    """What is owed to one peer. All methods are safe to cancel; changes are durable when they return.

    Numbers count from 1 per lane without gaps: one that was given and never stored would be asked for for ever.
    """

    @property
    def epoch(self) -> str:
        """ULID of the database that counts the numbers; new whenever it is created.

        It may also change inside `settle`: a receipt for numbers never sent shows that the database is an older copy
        of itself. Then a new count begins, and all that is held is owed again.
        """
        ...

    async def pending(self, lane: Lane, after: int, limit: int) -> Sequence[Parcel]:
        """Return at most `limit` parcels with `first` > `after` that have no receipt yet, in order."""
        ...

    async def settle(self, receipt: Receipt) -> Settled:
        """Move receipted records into the history and refused ones into the quarantine. Idempotent.

        Applies to `receipt.lane` alone, and not at all if `receipt.epoch` is not ours.
        """
        ...

    async def settled(self, lane: Lane) -> Ranges:
        """Return every number of `lane` ever receipted as stored and not replayed since."""
        ...

    async def replay(self, lane: Lane, lost: Ranges) -> Ranges:
        """Owe `lost` again from the history; return what it no longer holds.

        That part is owed as void ranges with `by` None: a gap that the receiver can name.
        """
        ...

    async def depth(self) -> Mapping[Lane, int]:
        """Return how many parcels are owed per lane."""
        ...

    async def wait_changed(self) -> None:
        """Return when something was added since the last call returned (at once if so). One waiter at a time."""
        ...


class Inbox(Protocol):
    """What was received from peers, where the receiver has no transaction of its own (the agent)."""

    @property
    def store_epoch(self) -> str:
        """ULID of the database; new whenever it is created."""
        ...

    async def held(self, node: str, epoch: str, lane: Lane) -> Held:
        """Return what is held of one sender's lane."""
        ...

    async def hold(self, node: str, epoch: str, lane: Lane, held: Held) -> None:
        """Store what is held; durable on return."""
        ...


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """State of a link as its lower end sees it. `reason` is None exactly while it is up (or was never tried)."""

    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    detail: str = ""


def reason_of(error: SilianError) -> LinkReason:
    """Name the end of a connection after its error."""
    if isinstance(error, MqttError):
        return error.reason
    return LinkReason.TLS if isinstance(error, ConfigError) else LinkReason.AUTH


@dataclass(frozen=True, slots=True)
class UplinkHandlers:
    """What the owner of an uplink supplies.

    `heartbeat(number)` is awaited each 5 s while connected; `on_status` is called at each change.
    """

    receive: Receive
    heartbeat: Callable[[int], Awaitable[Heartbeat]]
    on_status: Callable[[UplinkStatus], None] = lambda _: None


class Uplink:
    """Drive with `run()`; read `status`, `counters`, `rtt_s` at any time.

    counters: connects, connect_failures, frames_sent, records_sent, records_resent, receipts, receipts_bad,
    receipts_foreign, records_stored, records_refused, replayed, gaps, publish_refused, settle_failures,
    frames_received, frames_bad, records_received, receipts_sent, receive_failures, gap_asks, heartbeats, takeovers,
    crashes.
    """

    def __init__(
        self,
        *,
        node: str,
        address: BrokerAddress | Callable[[], BrokerAddress],
        outbox: Outbox,
        handlers: UplinkHandlers,
        clock: Clock,
        version: str = "",
        backoff: Backoff | None = None,
    ) -> None:
        self.node = node
        self.counters: Counter[str] = Counter()
        self._address = address
        self._handlers = handlers
        self._clock = clock
        self._version = version
        self._backoff = backoff or RECONNECT
        self._session = new_ulid(clock)
        self._pump = Pump(node=node, outbox=outbox, clock=clock, counters=self.counters)
        self._status = UplinkStatus(LinkStatus.NEVER, None, clock.now())
        self._stopping = asyncio.Event()
        self._hint = asyncio.Event()
        self._attempt = 0
        self._peer: str | None = None
        self._peer_session: str | None = None
        self._rtt_s: float | None = None
        self._heard_at = 0.0
        self._beats: dict[int, float] = {}
        self._beat = 0
        self._taken_over = False

    @property
    def status(self) -> UplinkStatus:
        """Return the present state."""
        return self._status

    @property
    def rtt_s(self) -> float | None:
        """Return the newest heartbeat round trip to the gateway above (not to its broker), None before the first."""
        return self._rtt_s

    @property
    def peer(self) -> str | None:
        """Return the node above, once it has answered."""
        return self._peer

    async def run(self) -> None:
        """Keep the link until cancelled or `stop`ped; network trouble never ends it."""
        while not self._stopping.is_set():
            self._hint.clear()
            refused = False
            try:
                await self._connected()
            except SilianError as error:
                refused = isinstance(error, MqttError) and error.refused
                self._down(LinkReason.TAKEOVER if self._taken_over else reason_of(error), str(error))
            except Exception as error:
                self.counters["crashes"] += 1
                logger.exception("link crashed", extra={"node": self.node})
                self._down(LinkReason.PEER_CLOSED, f"{type(error).__name__}: {error}")
            if self._stopping.is_set():
                break
            backoff = AT_THE_DOOR if refused and self._backoff.cap > AT_THE_DOOR.cap else self._backoff
            pause = backoff.delay(self._attempt, random.random())  # noqa: S311 - jitter, no secret
            self._attempt += 1
            await self._clock.wait(self._hint, max(pause, TAKEOVER_PAUSE_S) if self._taken_over else pause)
            self._taken_over = False
        self._down(LinkReason.AGENT_STOPPED, "stopped")

    async def stop(self) -> None:
        """Say `agent_stopped` to the upper tier and end `run`; safe to call twice."""
        self._stopping.set()
        self._hint.set()

    def network_is_back(self) -> None:
        """Hint that the network changed: the running pause ends and the back-off starts over."""
        self._attempt = 0
        self._hint.set()

    async def _connected(self) -> None:
        """Live through one connection; raises MqttError at its end, returns when stopped."""
        address = self._address() if callable(self._address) else self._address
        will = Will(topics.state(self.node), self._presence(LinkReason.PEER_CLOSED), delay_s=WILL_DELAY_S)
        reached = self.counters["connects"]
        try:
            async with MqttLink(address, self.node, will=will, session_expiry_s=SESSION_EXPIRY_S) as link:
                self.counters["connects"] += 1
                await self._session_on(link)
        except MqttError:
            self.counters["connect_failures"] += reached == self.counters["connects"]
            raise

    async def _session_on(self, link: MqttLink) -> None:
        mine = [topics.records(self.node, Direction.DOWN, lane) for lane in DURABLE_LANES]
        await link.subscribe(topics.receipts(self.node, Direction.UP), *mine)
        await link.publish(topics.state(self.node), self._presence(None), retain=True)
        self._peer_session = None
        self._heard_at = self._clock.monotonic()
        desk = Desk(
            receive=self._handlers.receive,
            publish=lambda _, body: link.publish(topics.receipts(self.node, Direction.DOWN), body),
            link=link,
            session=new_ulid(self._clock),
            clock=self._clock,
            counters=self.counters,
        )
        await together(
            {
                "uplink.read": self._read(link, desk),
                "uplink.send": self._pump.run(
                    lambda lane, body: link.publish(topics.records(self.node, Direction.UP, lane), body)
                ),
                "uplink.desk": desk.run(),
                "uplink.heartbeat": self._heartbeats(link),
                "uplink.stop": self._say_goodbye(link, desk),
            }
        )

    async def _say_goodbye(self, link: MqttLink, desk: Desk) -> None:
        await self._stopping.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await desk.drained()
        await link.publish(topics.state(self.node), self._presence(LinkReason.AGENT_STOPPED), retain=True)

    async def _read(self, link: MqttLink, desk: Desk) -> None:
        async for message in link.messages():
            try:
                topic = topics.parse(message.topic)
                if isinstance(topic, topics.ReceiptTopic):
                    self._take_receipt(parse_receipt(message.payload))
                    link.ack(message)
                elif isinstance(topic, topics.RecordTopic):
                    self._take_frame(message, desk)
            except SilianError as error:
                link.ack(message)  # it would be as bad the next time; the sender hears nothing and sends again
                self.counters["receipts_bad" if "/rcpt/" in message.topic else "frames_bad"] += 1
                logger.warning("message not understood", extra={"topic": message.topic, "error": str(error)})

    def _take_frame(self, message: Message, desk: Desk) -> None:
        frame = parse_frame(message.payload)
        desk.take(frame.node, frame, message)

    def _take_receipt(self, receipt: Receipt) -> None:
        now, anew = self._clock.monotonic(), False
        self._heard_at = now
        self._peer = receipt.node
        if receipt.session is not None and receipt.session != self._peer_session:
            anew = self._peer_session is not None  # the gateway above came back; what it had in hand is lost to it
            self._peer_session = receipt.session
        self._up()
        if receipt.lane is not Lane.TELEMETRY:
            self._pump.hear(receipt, anew=anew)
            return
        if anew:
            self._pump.ask_anew()
        if any(one.code == LinkReason.TAKEOVER for one in receipt.refused):
            self.counters["takeovers"] += 1
            self._taken_over = True
            logger.error("another box bears our name", extra={"node": self.node})
        sent = self._beats.pop(receipt.high, None)
        if sent is not None:
            self._rtt_s = now - sent

    async def _heartbeats(self, link: MqttLink) -> None:
        while True:
            await self._send_heartbeat(link)
            await self._clock.sleep(HEARTBEAT_S)
            if self._clock.monotonic() - self._heard_at > SILENCE_S:
                self._down(LinkReason.NO_HEARTBEAT, "the broker is there, the gateway does not answer")

    async def _send_heartbeat(self, link: MqttLink) -> None:
        self._beat += 1
        try:
            beat = await self._handlers.heartbeat(self._beat)
        except Exception:
            logger.exception("heartbeat not made", extra={"node": self.node})
            return
        data = beat.model_dump(mode="json")
        if self._rtt_s is not None:
            data["rtt_ms"] = round(self._rtt_s * 1000, 3)
        event = Event(
            id=new_ulid(self._clock),
            source=self.node,
            type=HEARTBEAT,
            time=self._clock.now(),
            data=data,
            origincounter=self._beat,
        )
        parcel = record_parcel(self._beat, event.model_dump_json(exclude_none=True))
        (packed,) = pack(self.node, self._session, Lane.TELEMETRY, [parcel])
        self._beats = {number: at for number, at in self._beats.items() if number > self._beat - 8}
        self._beats[self._beat] = self._clock.monotonic()
        self.counters["heartbeats"] += 1
        await link.publish(topics.records(self.node, Direction.UP, Lane.TELEMETRY), packed.payload, qos=0)

    def _presence(self, ended: LinkReason | None) -> bytes:
        presence = Presence(
            node=self.node,
            online=ended is None,
            reason=ended,
            session=self._session,
            version=self._version,
            at=self._clock.now(),
        )
        return presence.model_dump_json().encode()

    def _up(self) -> None:
        if self._status.status is not LinkStatus.UP:
            self._attempt = 0
            self._change(UplinkStatus(LinkStatus.UP, None, self._clock.now()))

    def _down(self, reason: LinkReason, detail: str) -> None:
        if self._status.status is not LinkStatus.DOWN or self._status.reason is not reason:
            since = self._status.since if self._status.status is LinkStatus.DOWN else self._clock.now()
            self._change(UplinkStatus(LinkStatus.DOWN, reason, since, detail))

    def _change(self, status: UplinkStatus) -> None:
        self._status = status
        fields = {"node": self.node, "peer": self._peer, "reason": status.reason, "detail": status.detail}
        logger.info("link %s", status.status, extra=fields)
        self._handlers.on_status(status)
