"""Uplink and downlink over a real mosquitto: outages, kills, crashes, restores; each record exactly once."""

import asyncio
import contextlib
import json
import random
import sqlite3

import pytest

from protocols.aio.clock import SystemClock
from protocols.aio.downlink import Downlink, DownlinkHandlers
from protocols.aio.mqtt import BrokerAddress, MqttLink, TlsFiles
from protocols.aio.spool import Quota, Spool
from protocols.aio.uplink import Uplink, UplinkHandlers
from protocols.backoff import Backoff
from protocols.envelope import Lane
from protocols.health import Heartbeat, LinkReason, LinkStatus
from tests.support.brokers import amqtt_broker, free_port, mosquitto
from tests.support.events import NODE, alarm
from tests.support.far_end import FarEnd

pytestmark = pytest.mark.external
CLOCK = SystemClock()
QUICK = Backoff(base=0.05, cap=0.5, floor=0.02)


class Upper:
    """A gateway's end: downlink, far end, one spool per child for what goes down."""

    def __init__(self, tmp_path, address, far=None):
        self.far = far or FarEnd()
        self.presences, self.beats, self.tmp_path = [], [], tmp_path
        self.boxes: dict[str, Spool] = {}
        self.downlink = Downlink(
            node=self.far.node,
            address=address,
            handlers=DownlinkHandlers(self.far.receive, self.outbox, self.on_presence, self.on_heartbeat),
            store_epoch=self.far.store_epoch,
            clock=CLOCK,
            backoff=QUICK,
        )

    async def outbox(self, node):
        if node not in self.boxes:
            self.boxes[node] = await Spool.open(self.tmp_path / f"down-{node}.db", clock=CLOCK, quota=Quota(ballast=0))
            self.boxes[node].note_link(up=True)
        return self.boxes[node]

    async def on_presence(self, node, presence):
        self.presences.append(presence)

    async def on_heartbeat(self, node, beat):
        self.beats.append(beat)


async def end(run, shell):
    """Stop an end in good order, or (`hard`) cut it off wherever its tasks are."""
    if getattr(shell, "hard", False):
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return
    await shell.stop()
    async with asyncio.timeout(20):
        await run


@contextlib.asynccontextmanager
async def upper_end(tmp_path, address, far=None):
    upper = Upper(tmp_path, address, far)
    run = asyncio.get_running_loop().create_task(upper.downlink.run())
    try:
        yield upper
    finally:
        await end(run, upper.downlink)
        for box in upper.boxes.values():
            await box.close()


@contextlib.asynccontextmanager
async def lower_end(tmp_path, address, node=NODE, name="up.db", quota=None):
    spool = await Spool.open(tmp_path / name, clock=CLOCK, quota=quota or Quota(ballast=0))
    far = FarEnd(node)

    async def heartbeat(number):
        return Heartbeat(node=node, sent_at=CLOCK.now(), number=number)

    uplink = Uplink(
        node=node,
        address=address,
        outbox=spool,
        handlers=UplinkHandlers(
            far.receive, heartbeat, lambda status: spool.note_link(up=status.status is LinkStatus.UP)
        ),
        clock=CLOCK,
        version="test",
        backoff=QUICK,
    )
    uplink.far, uplink.spool = far, spool
    run = asyncio.get_running_loop().create_task(uplink.run())
    try:
        yield uplink
    finally:
        await end(run, uplink)
        await spool.close()


async def until(what, seconds=40):
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.02)


async def settled(spool, seconds=60):
    async with asyncio.timeout(seconds):
        while any((await spool.depth()).values()):
            await asyncio.sleep(0.05)


async def test_records_both_ways_presence_heartbeat_and_a_clean_stop(tmp_path):
    async with mosquitto(tmp_path) as broker, upper_end(tmp_path, broker.address()) as upper:
        async with lower_end(tmp_path, broker.address()) as lower:
            for n in range(10):
                await lower.spool.put(Lane.URGENT, alarm(n))
            await upper.far.until(10)
            assert upper.far.seen == list(range(10))
            await settled(lower.spool)
            box = await upper.outbox(NODE)
            for n in range(5):
                await box.put(Lane.URGENT, alarm(n, source="320600"))
            await lower.far.until(5)
            await settled(box)
            assert lower.status.status is LinkStatus.UP
            assert lower.peer == "320600"
            await until(lambda: lower.rtt_s is not None and upper.beats)
            assert upper.presences[-1].online
        await until(lambda: upper.presences[-1].reason is LinkReason.AGENT_STOPPED)
        assert not upper.presences[-1].online
        assert lower.status.reason is LinkReason.AGENT_STOPPED
        assert upper.far.duplicates == 0
        assert upper.downlink.counters["crashes"] == lower.counters["crashes"] == 0


async def test_refused_records_land_in_quarantine_and_block_nothing(tmp_path):
    async with mosquitto(tmp_path) as broker, upper_end(tmp_path, broker.address()) as upper:
        upper.far.refuse = {3: "bad_schema", 4: "not_found"}
        async with lower_end(tmp_path, broker.address()) as lower:
            for n in range(10):
                await lower.spool.put(Lane.URGENT, alarm(n))
            await upper.far.until(8)
            await settled(lower.spool)
            assert [(one.code, one.event.origincounter) for one in await lower.spool.quarantine()] == [
                ("not_found", 4),
                ("bad_schema", 3),
            ]
            upper.far.refuse = {}
            await lower.spool.resend((await lower.spool.quarantine())[0].id)
            await upper.far.until(9)
            assert upper.far.gaps == []


async def test_outage_and_killed_broker(tmp_path):
    async with (
        mosquitto(tmp_path) as broker,
        upper_end(tmp_path, broker.address()) as upper,
        lower_end(tmp_path, broker.address()) as lower,
    ):
        await lower.spool.put(Lane.LIVE, alarm(0))
        await upper.far.until(1)
        await broker.kill()
        await until(lambda: lower.status.status is LinkStatus.DOWN)
        for n in range(1, 301):
            await lower.spool.put(Lane.LIVE, alarm(n))
        assert (await lower.spool.depth())[Lane.BACKFILL] > 0
        await broker.start()
        await upper.far.until(301)
        await settled(lower.spool)
        assert sorted(upper.far.seen) == list(range(301))


async def test_receiver_crash_between_commit_and_receipt(tmp_path):
    async with mosquitto(tmp_path) as broker, upper_end(tmp_path, broker.address()) as upper:
        crashes = iter([True, False, True, True, False])

        def crash(frame):
            if frame.records and next(crashes, False):
                raise RuntimeError("killed after the commit")

        upper.far.after_commit = crash
        async with lower_end(tmp_path, broker.address()) as lower:
            for n in range(20):
                await lower.spool.put(Lane.URGENT, alarm(n))
                await asyncio.sleep(0.02)
            await upper.far.until(20)
            await settled(lower.spool)
        assert sorted(upper.far.seen) == list(range(20))
        assert upper.downlink.counters["receive_failures"] == 3


async def test_gateway_away_and_back_while_its_broker_lives(tmp_path):
    async with mosquitto(tmp_path) as broker:
        far = FarEnd()
        async with lower_end(tmp_path, broker.address()) as lower:
            async with upper_end(tmp_path, broker.address(), far):
                await lower.spool.put(Lane.URGENT, alarm(0))
                await far.until(1)
            for n in range(1, 100):
                await lower.spool.put(Lane.URGENT, alarm(n))
            began = CLOCK.monotonic()
            async with upper_end(tmp_path / "two", broker.address(), far):
                await far.until(100)
                print(f"first receipt after {CLOCK.monotonic() - began:.2f} s")
                await settled(lower.spool)
        assert sorted(far.seen) == list(range(100))
        assert far.duplicates == 0


async def test_restored_receiver_gets_back_what_the_sender_holds_and_names_the_rest(tmp_path):
    async with mosquitto(tmp_path) as broker, lower_end(tmp_path, broker.address()) as lower:
        far = FarEnd()
        async with upper_end(tmp_path, broker.address(), far):
            for n in range(1, 51):
                await lower.spool.put(Lane.URGENT, alarm(n))
            await far.until(50)
            await settled(lower.spool)
            yesterday = far.backup()
            for n in range(51, 101):
                await lower.spool.put(Lane.URGENT, alarm(n))
            await far.until(100)
            await settled(lower.spool)
        connection = sqlite3.connect(tmp_path / "up.db")  # the oldest ten of today are beyond the history
        connection.execute("DELETE FROM records WHERE id & 0xffffffff BETWEEN 51 AND 60")
        connection.commit()
        connection.close()
        far.restore(yesterday)
        async with upper_end(tmp_path, broker.address(), far):
            await far.until(90)
            await settled(lower.spool)
        assert sorted(far.seen) == [*range(1, 51), *range(61, 101)]
        assert far.gaps == [(51, 60)]
        assert lower.counters["replayed"] == 40
        assert lower.counters["gaps"] == 10


async def test_new_store_above_gets_the_history(tmp_path):
    async with mosquitto(tmp_path) as broker, lower_end(tmp_path, broker.address()) as lower:
        first = FarEnd()
        async with upper_end(tmp_path, broker.address(), first):
            for n in range(30):
                await lower.spool.put(Lane.URGENT, alarm(n))
            await first.until(30)
            await settled(lower.spool)
        second = FarEnd()
        async with upper_end(tmp_path, broker.address(), second):
            await second.until(30)
            await settled(lower.spool)
        assert sorted(second.seen) == list(range(30))


async def test_gap_is_asked_for(tmp_path):
    """The receiver lost one frame's commit in the middle; the sender never hears of it until it is asked."""
    async with (
        mosquitto(tmp_path) as broker,
        upper_end(tmp_path, broker.address()) as upper,
        lower_end(tmp_path, broker.address()) as lower,
    ):
        for n in range(1, 11):
            await lower.spool.put(Lane.URGENT, alarm(n))
        await upper.far.until(10)
        await settled(lower.spool)
        key = next(key for key in upper.far.held if key[2] is Lane.URGENT)
        upper.far.held[key] = json.dumps({"stored": [[1, 3], [6, 10]], "refused": []})
        upper.far.seen = [n for n in upper.far.seen if n not in (4, 5)]
        await lower.spool.put(Lane.URGENT, alarm(11))
        await upper.far.until(11)
        assert sorted(upper.far.seen) == list(range(1, 12))


async def test_a_lost_agent_is_told_by_the_broker(tmp_path, monkeypatch):
    monkeypatch.setattr("protocols.aio.uplink.WILL_DELAY_S", 1)
    async with mosquitto(tmp_path) as broker, upper_end(tmp_path, broker.address()) as upper:
        async with lower_end(tmp_path, broker.address()) as lower:
            await until(lambda: upper.presences and upper.presences[-1].online)
            lower.hard = True
        await until(lambda: upper.presences[-1].reason is LinkReason.PEER_CLOSED)


async def test_last_will_of_a_replaced_session_is_no_news(tmp_path):
    async with (
        mosquitto(tmp_path) as broker,
        upper_end(tmp_path, broker.address()) as upper,
        lower_end(tmp_path, broker.address()),
        MqttLink(broker.address(), "ghost") as ghost,
    ):
        await until(lambda: upper.presences and upper.presences[-1].online)
        gone = upper.presences[-1].model_copy(
            update={"online": False, "session": "01JGFJJZ000000000000000009", "reason": LinkReason.PEER_CLOSED}
        )
        await ghost.publish(f"silian/v1/{NODE}/state", gone.model_dump_json().encode())
        await until(lambda: upper.downlink.counters["presence_stale"] == 1)
        assert upper.presences[-1].online


async def test_no_gateway_behind_the_broker_is_no_link(tmp_path, monkeypatch):
    monkeypatch.setattr("protocols.aio.uplink.SILENCE_S", 0.2)
    monkeypatch.setattr("protocols.aio.uplink.HEARTBEAT_S", 0.1)
    async with mosquitto(tmp_path) as broker, lower_end(tmp_path, broker.address()) as lower:
        await until(lambda: lower.status.reason is LinkReason.NO_HEARTBEAT)
        assert lower.status.status is LinkStatus.DOWN
        monkeypatch.setattr("protocols.aio.uplink.SILENCE_S", 30)
        async with upper_end(tmp_path, broker.address()):
            await until(lambda: lower.status.status is LinkStatus.UP)


async def test_a_branch_that_the_broker_denies_is_seen_and_loses_nothing(tmp_path):
    acl = "topic readwrite silian/v1/+/rcpt/#\ntopic readwrite silian/v1/+/state\ntopic read silian/v1/+/up/#\n"
    acl += "topic read silian/v1/+/down/#\n"
    async with (
        mosquitto(tmp_path, acl=acl) as broker,
        upper_end(tmp_path, broker.address()) as upper,
        lower_end(tmp_path, broker.address()) as lower,
    ):
        await lower.spool.put(Lane.URGENT, alarm(1))
        await until(lambda: lower.counters["publish_refused"] >= 1)
        assert upper.far.seen == []
        assert (await lower.spool.depth())[Lane.URGENT] == 1
        assert lower.counters["crashes"] == 0


async def test_bad_tls_files_do_not_end_the_link(tmp_path):
    address = BrokerAddress("127.0.0.1", free_port(), tls=TlsFiles(tmp_path / "missing.pem"))
    async with lower_end(tmp_path, address) as lower:
        await until(lambda: lower.status.reason is LinkReason.TLS)
        assert lower.counters["crashes"] == 0
        lower.network_is_back()


async def test_two_boxes_with_one_name_are_noticed(tmp_path):
    async with (
        mosquitto(tmp_path) as broker,
        upper_end(tmp_path, broker.address()) as upper,
        lower_end(tmp_path, broker.address()) as first,
        lower_end(tmp_path, broker.address(), name="twin.db") as twin,
    ):
        await until(lambda: upper.downlink.takeovers(NODE) > 0)
        await until(lambda: any(p.reason is LinkReason.TAKEOVER for p in upper.presences))
        await until(lambda: first.counters["takeovers"] + twin.counters["takeovers"] > 0)


async def test_bad_messages_are_counted_and_hurt_nobody(tmp_path):
    async with (
        mosquitto(tmp_path) as broker,
        upper_end(tmp_path, broker.address()) as upper,
        lower_end(tmp_path, broker.address()) as lower,
        MqttLink(broker.address(), "rogue") as rogue,
    ):
        await until(lambda: lower.status.status is LinkStatus.UP)
        await rogue.publish(f"silian/v1/{NODE}/up/live", b"{no json")
        await rogue.publish(f"silian/v1/{NODE}/up/live", b'{"v":1,"node":"320600"}')
        await rogue.publish(f"silian/v1/{NODE}/up/nonsense", b"{}")
        await rogue.publish(f"silian/v1/{NODE}/rcpt/down", b"[]")
        await rogue.publish(f"silian/v1/{NODE}/rcpt/up", b"[]")
        await rogue.publish(f"silian/v1/{NODE}/state", b"\x00\xff")
        await rogue.publish(f"silian/v1/{NODE}/up/telemetry", b'{"x":1}')
        foreign = {"node": "320612-box", "epoch": upper.far.store_epoch, "lane": "live", "records": []}
        await rogue.publish(f"silian/v1/{NODE}/up/live", json.dumps(foreign).encode())
        await lower.spool.put(Lane.URGENT, alarm(1))
        await upper.far.until(1)
        await until(lambda: upper.downlink.counters["frames_bad"] >= 3)
        await until(lambda: upper.downlink.counters["frames_foreign"] >= 1)
        await until(lambda: upper.downlink.counters["receipts_bad"] == 1 and lower.counters["receipts_bad"] == 1)


async def test_amqtt_carries_the_link_too(tmp_path):
    async with amqtt_broker() as address, upper_end(tmp_path, address) as upper, lower_end(tmp_path, address) as lower:
        for n in range(100):
            await lower.spool.put(Lane.URGENT, alarm(n))
        await upper.far.until(100)
        await settled(lower.spool)
        assert sorted(upper.far.seen) == list(range(100))


@pytest.mark.slow
async def test_ten_thousand_records_through_twenty_kills(tmp_path):
    total, kills, dice = 10_000, 20, random.Random(4)
    far = FarEnd()
    counts = {"broker": 0, "gateway": 0, "agent": 0}
    async with mosquitto(tmp_path) as broker, contextlib.AsyncExitStack() as stack:
        upper = await stack.enter_async_context(Killable(lambda: upper_end(tmp_path, broker.address(), far)))
        lower = await stack.enter_async_context(Killable(lambda: lower_end(tmp_path, broker.address())))
        marks = sorted(dice.sample(range(200, total - 200), kills))
        n = 0
        while n < total:
            batch = [(dice.choice([Lane.URGENT, Lane.LIVE]), alarm(i)) for i in range(n, min(n + 25, total))]
            await lower.now.spool.put_many(batch)
            n += 25
            while marks and marks[0] < n:
                marks.pop(0)
                victim = dice.choice(list(counts))
                counts[victim] += 1
                if victim == "broker":
                    await broker.kill()
                    await asyncio.sleep(dice.random() * 0.3)
                    await broker.start()
                else:
                    await (upper if victim == "gateway" else lower).kill()
            await asyncio.sleep(0)
        await far.until(total, 100)
        await settled(lower.now.spool)
    assert sorted(far.seen) == list(range(total)), counts
    assert far.gaps == []
    print(counts, "duplicates on the wire", far.duplicates)


class Killable:
    """An end that can be torn down at any moment, its tasks cancelled wherever they are, and started again."""

    def __init__(self, make):
        self._make = make
        self.now = None

    async def __aenter__(self):
        await self._start()
        return self

    async def __aexit__(self, *error):
        await self._end()

    async def kill(self):
        getattr(self.now, "downlink", self.now).hard = True
        await self._end()
        await self._start()

    async def _start(self):
        self._context = self._make()
        self.now = await self._context.__aenter__()

    async def _end(self):
        context, self._context = self._context, None
        await context.__aexit__(None, None, None)
