"""The pump's manners between an outbox and a wire: ask first, urgent first, never lose sight of what is owed below."""

import asyncio
from collections import Counter

from protocols.aio.clock import ManualClock
from protocols.aio.mqtt import MqttError
from protocols.aio.pump import FORGET_AT, FORGET_S, HEARD_MOST, Pump
from protocols.aio.uplink import Settled
from protocols.envelope import Lane
from protocols.errors import SpoolFullError
from protocols.health import LinkReason
from protocols.ranges import Ranges
from protocols.sender import WINDOW
from protocols.uplink import Receipt, Refusal, VoidRange, parse_frame, record_parcel, void_parcel
from tests.support.events import NODE, alarm

EPOCH = "01JGFJJZ000000000000000001"
STORE = "01JGFJJZ000000000000000002"


class Box:
    """An outbox in memory, whose reads and receipts can be held up to force an order of events."""

    def __init__(self):
        self.epoch = EPOCH
        self.rows = {lane: {} for lane in Lane}
        self.known = {lane: Ranges() for lane in Lane}
        self.changed = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    def owe(self, lane, *seqs):
        for seq in seqs:
            self.rows[lane][seq] = record_parcel(seq, alarm(seq).model_dump_json())
        self.changed.set()

    async def pending(self, lane, after, limit):
        found = [self.rows[lane][seq] for seq in sorted(self.rows[lane]) if seq > after][:limit]
        await self.gate.wait()
        return found

    async def settle(self, receipt):
        for seq in receipt.ranges().numbers():
            self.rows[receipt.lane].pop(seq, None)
            self.known[receipt.lane].add(seq)
        await asyncio.sleep(0)
        for one in receipt.refused:
            self.rows[receipt.lane][one.seq] = void_parcel(VoidRange(first=one.seq, last=one.seq, by=0))
        return Settled(receipt.ranges().count, len(receipt.refused))

    async def settled(self, lane):
        return self.known[lane].copy()

    async def replay(self, lane, lost):
        self.owe(lane, *lost.numbers())
        return Ranges()

    async def depth(self):
        return {}

    async def wait_changed(self):
        await self.changed.wait()
        self.changed.clear()


class Bench:
    def __init__(self):
        self.clock, self.box, self.counters = ManualClock(), Box(), Counter()
        self.pump = Pump(node=NODE, outbox=self.box, clock=self.clock, counters=self.counters)
        self.wire = []

    async def publish(self, lane, payload):
        self.wire.append(parse_frame(payload))

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.pump.run(self.publish))
        await self.clock.advance(0)
        return self

    async def __aexit__(self, *error):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def receipt(self, lane=Lane.URGENT, stored=(), **more):
        ranges = Ranges(stored)
        fields = {"node": "320600", "epoch": EPOCH, "store_epoch": STORE, "at": self.clock.now(), "high": ranges.high}
        await self.pump.on_receipt(Receipt(**{**fields, "lane": lane, "stored": tuple(ranges.to_list()), **more}))
        await self.clock.advance(0)

    def hear(self, high, *, anew=False):
        fields = {"node": "320600", "epoch": EPOCH, "store_epoch": STORE, "at": self.clock.now(), "high": high}
        self.pump.hear(Receipt(**fields, lane=Lane.URGENT, stored=((1, high),)), anew=anew)

    async def heard(self):
        for lane in (Lane.URGENT, Lane.LIVE, Lane.BACKFILL):
            await self.receipt(lane)
        self.wire.clear()

    def numbers(self):
        return [one.seq for frame in self.wire for one in frame.records]


async def test_a_receipt_waits_for_its_outbox_and_nobody_for_the_receipt():
    async with Bench() as bench:
        await bench.heard()
        bench.box.owe(Lane.URGENT, 1, 2)
        await bench.clock.advance(0)
        landed, free = [], asyncio.Event()
        settle = bench.box.settle

        async def slow(receipt):
            await free.wait()
            landed.append(receipt.high)
            return await settle(receipt)

        bench.box.settle = slow
        bench.hear(1)
        bench.hear(2, anew=True)
        await bench.clock.advance(0)
        assert landed == []
        free.set()
        await bench.clock.advance(0)
        assert landed == [2]  # the second says what the first does, and that its sender came back
        assert bench.counters["receipts_dropped"] == 0


class Told:
    """Notes of which receipts an outbox is told."""

    def __init__(self, box):
        self.settle, self.ranges = box.settle, []
        box.settle = self

    async def __call__(self, receipt):
        self.ranges.append(receipt.ranges().to_list())
        return await self.settle(receipt)


async def test_the_outbox_is_told_of_usual_receipts_together():
    async with Bench() as bench:
        await bench.heard()
        told = Told(bench.box)
        bench.box.owe(Lane.URGENT, 1, 2, 3)
        await bench.clock.advance(0)
        await bench.receipt(stored=[(1, 1)])
        await bench.receipt(stored=[(1, 2)])
        assert told.ranges == []
        await bench.clock.advance(FORGET_S)
        assert told.ranges == [[[1, 2]]]
        assert list(bench.box.rows[Lane.URGENT]) == [3]
        assert bench.counters["records_stored"] == 2


async def test_many_receipted_records_are_told_of_at_once():
    async with Bench() as bench:
        await bench.heard()
        told = Told(bench.box)
        bench.box.owe(Lane.URGENT, *range(1, FORGET_AT + 1))
        await bench.clock.advance(0)
        await bench.receipt(stored=[(1, FORGET_AT)])
        assert told.ranges == [[[1, FORGET_AT]]]


async def test_room_that_a_receipt_makes_is_used_before_the_outbox_is_told():
    async with Bench() as bench:
        await bench.heard()
        told = Told(bench.box)
        bench.box.owe(Lane.URGENT, *range(1, WINDOW + 3))
        await bench.clock.advance(0)
        assert len(bench.numbers()) == WINDOW
        await bench.receipt(stored=[(1, 2)])
        assert told.ranges == []
        assert bench.numbers()[WINDOW:] == [WINDOW + 1, WINDOW + 2]


async def test_an_unusual_receipt_tells_of_the_usual_ones_before_it():
    async with Bench() as bench:
        await bench.heard()
        told = Told(bench.box)
        bench.box.owe(Lane.URGENT, 1, 2, 3)
        await bench.clock.advance(0)
        await bench.receipt(stored=[(1, 1)])
        await bench.receipt(stored=[(3, 3)], floor=3, refused=(Refusal(seq=2, code="bad_schema"),))
        assert told.ranges == [[[1, 1], [3, 3]]]
        await bench.clock.advance(FORGET_S)
        assert len(told.ranges) == 1


async def test_an_outbox_that_could_not_be_told_is_told_by_the_next_receipt():
    async with Bench() as bench:
        await bench.heard()
        settle = bench.box.settle

        async def full(receipt):
            raise SpoolFullError("the disk is full")

        bench.box.settle = full
        bench.box.owe(Lane.URGENT, 1, 2)
        await bench.clock.advance(0)
        await bench.receipt(stored=[(1, 1)])
        await bench.clock.advance(FORGET_S)
        assert bench.counters["settle_failures"] == 1
        assert set(bench.box.rows[Lane.URGENT]) == {1, 2}
        bench.box.settle = settle
        await bench.receipt(stored=[(1, 2)])
        await bench.clock.advance(FORGET_S)
        assert not bench.box.rows[Lane.URGENT]
        assert bench.numbers() == [1, 2]  # never sent again for that


async def test_receipts_beyond_what_can_wait_are_dropped_and_counted():
    bench = Bench()
    for number in range(HEARD_MOST + 3):
        bench.hear(number + 1)
    assert bench.counters["receipts_dropped"] == 3


async def test_asks_before_it_sends_and_asks_again():
    async with Bench() as bench:
        bench.box.owe(Lane.URGENT, 1, 2)
        await bench.clock.advance(0)
        assert [frame.ask for frame in bench.wire] == [True] * 3
        assert bench.numbers() == []
        await bench.clock.advance(120)
        asked = len(bench.wire)
        assert 3 * 8 <= asked <= 3 * 90, "for as long as nobody answers, with growing pauses"
        await bench.receipt()
        assert bench.numbers() == [1, 2]


async def test_what_the_peer_has_is_not_sent_again():
    async with Bench() as bench:
        bench.box.owe(Lane.URGENT, *range(1, 11))
        await bench.receipt(stored=[(1, 8)])
        assert bench.numbers() == [9, 10]


async def test_urgent_goes_first_and_the_window_bounds_all():
    async with Bench() as bench:
        await bench.heard()
        bench.box.gate.clear()
        bench.box.owe(Lane.BACKFILL, *range(1, 2000))
        bench.box.owe(Lane.LIVE, *range(1, 2000))
        bench.box.owe(Lane.URGENT, *range(1, 100))
        bench.box.gate.set()
        await bench.clock.advance(0)
        await bench.clock.advance(0)
        assert bench.pump.sender.in_flight() <= WINDOW
        assert bench.pump.sender.in_flight(Lane.URGENT) == 99


async def test_unanswered_is_sent_again_with_growing_pauses():
    async with Bench() as bench:
        await bench.heard()
        bench.box.owe(Lane.URGENT, 1)
        await bench.clock.advance(0)
        assert bench.numbers() == [1]
        await bench.clock.advance(1.9)
        assert bench.numbers() == [1]
        await bench.clock.advance(60)
        assert 4 <= len(bench.numbers()) <= 6
        await bench.receipt(stored=[(1, 1)])
        count = len(bench.wire)
        await bench.clock.advance(300)
        assert len(bench.wire) == count


async def test_void_of_a_refused_record_is_sent_whatever_is_read_meanwhile():
    """The reading of later records may overtake the receipt that makes an earlier number void."""
    async with Bench() as bench:
        await bench.heard()
        bench.box.owe(Lane.URGENT, 1, 2, 3)
        await bench.clock.advance(0)
        bench.box.gate.clear()  # a read is under way while the receipt is settled
        bench.box.owe(Lane.URGENT, 4)
        await bench.clock.advance(0)
        await bench.receipt(stored=[(1, 1), (3, 3)], refused=(Refusal(seq=2, code="bad_schema"),))
        bench.box.gate.set()
        await bench.clock.advance(0)
        await bench.clock.advance(0)
        assert [(one.first, one.by) for frame in bench.wire for one in frame.voids] == [(2, 0)]
        assert bench.numbers() == [1, 2, 3, 4], "and nothing in flight is sent twice"


async def test_peer_that_fell_back_gets_the_history():
    async with Bench() as bench:
        await bench.heard()
        bench.box.owe(Lane.URGENT, *range(1, 11))
        await bench.clock.advance(0)
        await bench.receipt(stored=[(1, 10)])
        bench.wire.clear()
        await bench.receipt(stored=[(1, 4)])
        await bench.clock.advance(0)
        assert bench.numbers() == [5, 6, 7, 8, 9, 10]
        assert bench.counters["replayed"] == 6


async def test_asked_for_holes_that_were_never_owed_are_void():
    async with Bench() as bench:
        await bench.heard()
        bench.box.owe(Lane.URGENT, 5)
        await bench.clock.advance(0)
        bench.wire.clear()
        await bench.receipt(stored=[(1, 1), (8, 8)], ask=True)
        await bench.clock.advance(0)
        voids = [(one.first, one.last, one.by) for frame in bench.wire for one in frame.voids]
        assert (2, 4, 0) in voids
        assert (6, 7, 0) in voids
        assert bench.numbers() == [5], "what is owed there is sent at once"


async def test_outbox_that_counts_anew_starts_anew():
    async with Bench() as bench:
        await bench.heard()
        settle = bench.box.settle

        async def renewing(receipt):
            bench.box.epoch = STORE
            return Settled()

        bench.box.settle = renewing
        bench.box.owe(Lane.URGENT, 1)
        await bench.receipt(stored=[(1, 9)])
        bench.box.settle = settle
        bench.wire.clear()
        await bench.clock.advance(20)
        assert {frame.epoch for frame in bench.wire} == {STORE}
        assert all(frame.ask for frame in bench.wire)
        await bench.receipt()
        assert bench.counters["receipts_foreign"] == 1


async def test_end_of_the_connection_ends_the_run():
    bench = Bench()

    async def broken(lane, payload):
        raise MqttError("gone", LinkReason.PEER_CLOSED)

    bench.publish = broken
    async with bench:
        await bench.clock.advance(0)
        assert isinstance(bench.task.exception(), MqttError)
