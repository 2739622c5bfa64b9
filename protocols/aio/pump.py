"""Sends what one outbox owes over one connection: the shell around `protocols.sender`, the same up and down.

Each connection begins with the question "what have you got"; a lane's records flow once it is answered, so that a
peer that is away is not flooded and what it already has is not sent twice.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from protocols.aio.clock import Clock
from protocols.aio.mqtt import MqttError
from protocols.aio.tasks import together
from protocols.backoff import Backoff
from protocols.envelope import BATCH_RECORDS, DURABLE_LANES, Lane
from protocols.errors import RefusedError, SilianError, TooLargeError
from protocols.ranges import Ranges
from protocols.sender import WINDOW, Sender
from protocols.uplink import Packed, Parcel, Receipt, VoidRange, pack, void_parcel

if TYPE_CHECKING:
    from protocols.aio.uplink import Outbox

logger = logging.getLogger(__name__)
Publish = Callable[[Lane, bytes], Awaitable[None]]
TURN = 256
"""Parcels of the live and backfill lanes sent before the urgent lane is looked at again."""
ASK_AGAIN = Backoff(base=2.0, cap=15.0, floor=1.0)
HEARD_MOST = 1024
"""Receipts that wait to be landed; a peer sends one for a frame, and a frame without one is sent again."""
FORGET_S, FORGET_AT = 0.1, 64
"""How long, and for how many receipted records, the outbox is not told yet: forgetting them takes a commit of its own,
and none of it is urgent. What is lost of it by a crash is found again by the question that begins a connection."""


class Pump:
    """One per peer; `run` per connection, `hear` for every receipt of the peer.

    counters: frames_sent, records_sent, records_resent, receipts, receipts_foreign, receipts_dropped, records_stored,
    records_refused, replayed, gaps, publish_refused, settle_failures.
    """

    def __init__(self, *, node: str, outbox: "Outbox", clock: Clock, counters: Counter[str]) -> None:
        self.sender = Sender()
        self._node = node
        self._outbox = outbox
        self._clock = clock
        self._counters = counters
        self._wake = asyncio.Event()
        self._more = set(DURABLE_LANES)
        self._heard: set[Lane] = set()
        self._ask_at = 0.0
        self._asked = 0
        self._store_epoch: str | None = None
        self._publishing: _Publishing | None = None
        self._landed: dict[Lane, Receipt] = {}
        self._landed_records = 0
        self._forget_now, self._forget_soon = asyncio.Event(), asyncio.Event()
        self._receipts: asyncio.Queue[tuple[Receipt, bool]] = asyncio.Queue(HEARD_MOST)

    async def run(self, publish: Publish) -> None:
        """Send for the length of one connection; raises MqttError at its end. Cancelling is safe."""
        await self._begin()
        publishing = self._publishing = _Publishing(publish, self._counters)
        jobs = {"pump.send": self._send(publishing), "pump.watch": self._watch(), "pump.publish": publishing.run()}
        try:
            await together({**jobs, "pump.land": self._land(), "pump.forget": self._forget()})
        finally:
            while not self._receipts.empty():  # of this connection: the next one begins with the question
                self._receipts.get_nowait()

    def ask_anew(self) -> None:
        """Ask what the peer has and begin from there: it is new, or came back."""
        self.sender.connected()
        self._heard.clear()
        self._more = set(DURABLE_LANES)
        self._ask_at, self._asked = 0.0, 0
        self._wake.set()

    def hear(self, receipt: Receipt, *, anew: bool = False) -> None:
        """Take a receipt, which lands in its turn while `run` runs; `anew`: its sender is new, or came back.

        Nobody waits for the outbox here: who reads for all peers would keep their heartbeats waiting too, and links
        that are whole would be called down. One too many is dropped, counted and logged; its records are sent again.
        """
        try:
            self._receipts.put_nowait((receipt, anew))
        except asyncio.QueueFull:
            self._counters["receipts_dropped"] += 1
            logger.warning("receipt dropped", extra={"node": self._node, "peer": receipt.node, "lane": receipt.lane})

    async def _land(self) -> None:
        while True:
            receipt, anew = await self._receipts.get()
            if anew:
                self.ask_anew()
            await self.on_receipt(receipt)

    async def on_receipt(self, receipt: Receipt) -> None:
        """Land a receipt. Errors of the outbox are logged and counted: the record is simply sent again."""
        if receipt.epoch != self._outbox.epoch or receipt.lane not in DURABLE_LANES:
            self._counters["receipts_foreign"] += 1
            return
        self._counters["receipts"] += 1
        if self._store_epoch not in (None, receipt.store_epoch):
            logger.warning("peer has a new store", extra={"node": self._node, "peer": receipt.node})
        self._store_epoch = receipt.store_epoch
        flying = self.sender.in_flight(receipt.lane)
        lost = self.sender.on_receipt(receipt, self._clock.monotonic())
        usual = receipt.lane in self._heard and receipt.high <= self.sender.after(receipt.lane)
        if usual and not (lost or receipt.refused or receipt.ask):
            self._keep(receipt, flying - self.sender.in_flight(receipt.lane))
            return
        receipt = self._with_landed(receipt)
        try:
            settled = await self._outbox.settle(receipt)
            if receipt.epoch != self._outbox.epoch:
                await self._begin()  # the outbox was an older copy and counts anew
                return
            self._counters["records_stored"] += settled.stored
            self._counters["records_refused"] += settled.refused
            if receipt.refused:
                self.sender.rewind(receipt.lane, min(one.seq for one in receipt.refused))  # now owed as void
            if lost:
                beyond = await self._outbox.replay(receipt.lane, lost)
                self.sender.rewind(receipt.lane, next(iter(lost))[0])
                self._counters["replayed"] += lost.count - beyond.count
                self._counters["gaps"] += beyond.count
                fields = {"node": self._node, "peer": receipt.node, "lane": receipt.lane, "lost": lost.to_list()[:8]}
                logger.warning("peer fell back", extra={**fields, "beyond_history": beyond.to_list()[:8]})
            elif receipt.ask:
                await self._answer_holes(receipt)
        except SilianError as error:
            self._counters["settle_failures"] += 1
            logger.error("receipt not settled", extra={"node": self._node, "error": str(error)})
        self._heard.add(receipt.lane)
        self._more.add(receipt.lane)
        self._wake.set()

    def _keep(self, receipt: Receipt, records: int) -> None:
        """Tell the outbox of a receipt later, which says nothing but that some more records are stored."""
        self._landed[receipt.lane] = self._with_landed(receipt)
        self._landed_records += records
        self._forget_soon.set()
        if self._landed_records >= FORGET_AT:
            self._forget_now.set()
        if self._more:
            self._wake.set()  # there is room for what was left unread

    def _with_landed(self, receipt: Receipt) -> Receipt:
        """Add what the outbox was not told of yet."""
        earlier = self._landed.pop(receipt.lane, None)
        if earlier is None or earlier.epoch != receipt.epoch:
            return receipt
        stored = earlier.ranges()
        stored.merge(receipt.ranges())
        return receipt.model_copy(update={"stored": tuple(stored), "high": max(earlier.high, receipt.high)})

    async def _forget(self) -> None:
        while True:
            await self._forget_soon.wait()
            await self._clock.wait(self._forget_now, FORGET_S)
            self._forget_soon.clear()
            self._forget_now.clear()
            await self._forget_landed()

    async def _forget_landed(self) -> None:
        landed, self._landed, self._landed_records = self._landed, {}, 0
        for receipt in landed.values():
            try:
                settled = await self._outbox.settle(receipt)
            except SilianError as error:
                self._counters["settle_failures"] += 1
                logger.error("receipt not settled", extra={"node": self._node, "error": str(error)})
                continue  # the next receipt names these records again
            self._counters["records_stored"] += settled.stored
            if receipt.epoch != self._outbox.epoch:
                await self._begin()  # the outbox was an older copy and counts anew
                return

    async def _begin(self) -> None:
        self._landed, self._landed_records = {}, 0
        self.sender.connected({lane: await self._outbox.settled(lane) for lane in DURABLE_LANES})
        self.ask_anew()

    async def _answer_holes(self, receipt: Receipt) -> None:
        """Void the holes that the peer asks for and that were never owed under this epoch: nothing will fill them."""
        known = receipt.ranges()
        if receipt.floor > 1:
            known.add(1, receipt.floor)
        holes = known.missing().minus(self.sender.settled[receipt.lane])
        if not holes or self._publishing is None:
            return
        self.sender.rewind(receipt.lane, next(iter(holes))[0])  # what is owed there and not in flight goes out now
        owed = await self._outbox.pending(receipt.lane, next(iter(holes))[0] - 1, WINDOW)
        if len(owed) >= WINDOW:
            holes = holes.within(1, owed[-1].last)
        holes = holes.minus(Ranges((parcel.first, parcel.last) for parcel in owed))
        voids = [void_parcel(VoidRange(first=first, last=last, by=0)) for first, last in holes]
        for packed in pack(self._node, self._outbox.epoch, receipt.lane, voids[:BATCH_RECORDS]):
            self._publishing.put(receipt.lane, packed)

    async def _watch(self) -> None:
        while True:
            await self._outbox.wait_changed()
            self._more = set(DURABLE_LANES)
            self._wake.set()

    async def _send(self, publishing: "_Publishing") -> None:
        while True:
            self._wake.clear()
            self._ask(publishing)
            await self._resend(publishing)
            if await self._fresh(publishing):
                continue
            deadlines = [at for at in (self.sender.deadline, self._next_ask()) if at is not None]
            now = self._clock.monotonic()
            await self._clock.wait(self._wake, min(deadlines) - now if deadlines else None)

    def _next_ask(self) -> float | None:
        return self._ask_at if len(self._heard) < len(DURABLE_LANES) else None

    def _ask(self, publishing: "_Publishing") -> None:
        now = self._clock.monotonic()
        if len(self._heard) == len(DURABLE_LANES) or now < self._ask_at:
            return
        for lane in DURABLE_LANES:
            if lane not in self._heard:
                (question,) = pack(self._node, self._outbox.epoch, lane, (), ask=True)
                publishing.put(lane, question)
        self._ask_at = now + ASK_AGAIN.delay(self._asked, 0.5 + random.random() / 2)  # noqa: S311 - jitter, no secret
        self._asked += 1

    async def _fresh(self, publishing: "_Publishing") -> bool:
        """Send what is new, urgent first; tell whether another look is due before waiting."""
        for lane in DURABLE_LANES:
            if lane not in self._heard or lane not in self._more:
                continue
            room = self.sender.room(lane, self._clock.monotonic())
            limit = room if lane is Lane.URGENT else min(room, TURN)
            if limit <= 0:
                continue
            self._more.discard(lane)
            after = self.sender.after(lane)
            parcels = await self._outbox.pending(lane, after, limit)
            if parcels:
                if len(parcels) >= limit:
                    self._more.add(lane)
                fresh = [parcel for parcel in parcels if not self.sender.flying(lane, parcel.first)]
                self._counters["records_sent"] += len(fresh)
                rewound = self.sender.after(lane) < after  # by a receipt, meanwhile: what it is about may lie below
                self._put(publishing, lane, fresh, reach=0 if rewound else parcels[-1].last)
                return True
        return False

    async def _resend(self, publishing: "_Publishing") -> None:
        for lane, seqs in self.sender.due(self._clock.monotonic()).items():
            wanted = set(seqs)
            parcels = await self._outbox.pending(lane, seqs[0] - 1, WINDOW)
            again = [parcel for parcel in parcels if parcel.first in wanted]
            reach = parcels[-1].first if len(parcels) >= WINDOW else seqs[-1]
            self.sender.gone(lane, {seq for seq in wanted if seq <= reach} - {parcel.first for parcel in again})
            self._counters["records_resent"] += len(again)
            if again:
                self._put(publishing, lane, again, reach=0)

    def _put(self, publishing: "_Publishing", lane: Lane, parcels: Sequence[Parcel], *, reach: int) -> None:
        for packed in pack(self._node, self._outbox.epoch, lane, parcels):
            publishing.put(lane, packed)
        self.sender.sent(lane, [parcel.first for parcel in parcels], self._clock.monotonic(), last=reach)


class _Publishing:
    """Publishes frames in order without waiting for the broker's acknowledgement of each: the window bounds them."""

    def __init__(self, publish: Publish, counters: Counter[str]) -> None:
        self._publish = publish
        self._counters = counters
        self._early: list[tuple[Lane, Packed]] = []
        self._group: asyncio.TaskGroup | None = None
        self._ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def put(self, lane: Lane, packed: Packed) -> None:
        """Send one frame behind those that were put before."""
        if self._group is None:
            self._early.append((lane, packed))
        elif not self._ended.done():
            self._counters["frames_sent"] += 1
            self._group.create_task(self._one(lane, packed, self._ended), name="pump.publish")

    async def run(self) -> None:
        """Publish until the connection ends, which raises MqttError."""
        ended = self._ended
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for lane, packed in self._early:
                    self.put(lane, packed)
                await asyncio.wait({ended})
        finally:
            if ended.done():
                ended.exception()  # taken here, should we be cancelled on the way out
        ended.result()

    async def _one(self, lane: Lane, packed: Packed, ended: "asyncio.Future[Any]") -> None:
        try:
            await self._publish(lane, packed.payload)
        except MqttError as error:
            if not ended.done():
                ended.set_exception(error)
        except (RefusedError, TooLargeError) as error:
            # Nothing is lost: the records stay owed, their timer runs, and the cause is on record.
            self._counters["publish_refused"] += 1
            logger.error("broker refused a frame", extra={"lane": lane, "seqs": packed.seqs[:4], "error": str(error)})
