"""The desk: acknowledged and receipted after the commit only, one after the other per lane, gaps asked for."""

import asyncio
from collections import Counter

from protocols.aio.clock import ManualClock
from protocols.aio.desk import Desk
from protocols.aio.mqtt import Message
from protocols.envelope import Lane
from protocols.errors import RefusedError
from protocols.uplink import Frame, parse_receipt
from tests.support.events import NODE, alarm
from tests.support.far_end import FarEnd

EPOCH = "01JGFJJZ000000000000000001"


def frame(*seqs, lane=Lane.LIVE):
    records = [{"seq": seq, "event": alarm(seq).model_dump()} for seq in seqs]
    return Frame.model_validate({"node": NODE, "epoch": EPOCH, "lane": lane, "records": records})


class Bench:
    def __init__(self):
        self.clock, self.counters, self.far = ManualClock(), Counter(), FarEnd()
        self.story, self.receipts, self.refusing = [], [], False
        self.far.after_commit = lambda frame: self.story.append(("commit", len(frame.records)))
        self.desk = Desk(
            receive=self.far.receive,
            publish=self.publish,
            link=self,
            session=EPOCH,
            clock=self.clock,
            counters=self.counters,
        )

    def ack(self, message):
        self.story.append(("ack", message.mid))

    async def publish(self, node, body):
        if self.refusing:
            raise RefusedError("denied", "mqtt_0x87")
        receipt = parse_receipt(body)
        self.receipts.append(receipt)
        self.story.append(("receipt", receipt.high))

    def take(self, mid, *seqs, lane=Lane.LIVE):
        self.desk.take(NODE, frame(*seqs, lane=lane), Message("t", b"", 1, False, mid))

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.desk.run())
        return self

    async def __aexit__(self, *error):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def settle(self):
        await self.clock.advance(0)
        await self.clock.advance(0)


async def test_broker_and_sender_hear_it_only_after_the_commit():
    async with Bench() as bench:
        bench.take(1, 1, 2)
        await bench.desk.drained()
        bench.take(2, 3)
        await bench.desk.drained()
        assert bench.story == [
            ("commit", 2),
            ("ack", 1),
            ("receipt", 2),
            ("commit", 1),
            ("ack", 2),
            ("receipt", 3),
        ]
        assert [(one.session, one.number) for one in bench.receipts] == [(EPOCH, 1), (EPOCH, 2)]


async def test_frames_that_wait_share_a_commit():
    async with Bench() as bench:
        bench.take(1, 1, 2)
        bench.take(2, 3)
        await bench.desk.drained()
        assert bench.story == [("commit", 3), ("ack", 1), ("ack", 2), ("receipt", 3)]


async def test_failed_commit_gives_no_receipt_and_stops_nobody():
    async with Bench() as bench:

        def fail(frame):
            if any(one.seq == 1 for one in frame.records):
                raise OSError("disk")

        bench.far.before_commit = fail
        bench.take(1, 1)
        bench.take(2, 2)
        await bench.desk.drained()
        assert [one.high for one in bench.receipts] == [2], "its neighbour is not kept out"
        assert ("ack", 1) in bench.story, "the sender's timer brings it again; the broker need not"
        assert bench.counters["receive_failures"] == 1


async def test_denied_receipt_is_counted():
    async with Bench() as bench:
        bench.refusing = True
        bench.take(1, 1)
        await bench.desk.drained()
        assert bench.counters["publish_refused"] == 1
        bench.refusing = False
        bench.take(2, 2)
        await bench.desk.drained()
        assert bench.receipts[-1].high == 2


async def test_lanes_do_not_wait_for_each_other():
    async with Bench() as bench:
        gate = asyncio.Event()
        receive = bench.far.receive

        async def slow(node, one):
            if one.lane is Lane.BACKFILL:
                await gate.wait()
            return await receive(node, one)

        bench.desk._receive = slow
        bench.take(1, 1, lane=Lane.BACKFILL)
        bench.take(2, 1, lane=Lane.URGENT)
        await bench.settle()
        assert [one.lane for one in bench.receipts] == [Lane.URGENT]
        gate.set()
        await bench.desk.drained()
        assert len(bench.receipts) == 2


async def test_gap_is_asked_for_after_five_seconds_until_the_node_leaves():
    async with Bench() as bench:
        bench.take(1, 1)
        bench.take(2, 4)
        await bench.desk.drained()
        await bench.clock.advance(4)
        assert not any(one.ask for one in bench.receipts)
        await bench.clock.advance(2)
        await bench.settle()
        asks = [one for one in bench.receipts if one.ask]
        assert asks[0].ranges().to_list() == [[1, 1], [4, 4]]
        assert bench.counters["gap_asks"] == 1
        bench.desk.forget(NODE)
        await bench.clock.advance(300)
        assert bench.counters["gap_asks"] == 1
