"""What every outbox must keep, the agent's spool and the gateway's store alike (protocols.aio.uplink.Outbox)."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.ports.store import UPPER
from protocols.aio.clock import ManualClock
from protocols.aio.spool import Quota, Spool
from protocols.aio.uplink import Outbox
from protocols.envelope import Lane
from protocols.ranges import Ranges
from protocols.receiver import Held, judge
from protocols.uplink import Receipt, Refusal, pack, parse_frame
from tests.support.databases import new_bench
from tests.support.events import alarm

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
OTHER = "01JGFJJZ000000000000000009"
LANE = Lane.URGENT


class SpoolBench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.spool = folder, None

    async def open(self) -> Outbox:
        self.spool = await Spool.open(self.folder / "s.db", clock=ManualClock(START), quota=Quota(ballast=0))
        return self.spool

    async def close(self) -> None:
        await self.spool.close()

    async def put(self, *counters: int) -> None:
        await self.spool.put_many([(LANE, alarm(n)) for n in counters])


class StoreBench:
    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.database = folder, None, None

    async def open(self) -> Outbox:
        self.database = self.database or await new_bench(self.kind, self.folder, ManualClock(START), "320623")
        self.store = self.database.open()
        await self.store.__aenter__()
        return self.store.outbox(UPPER)

    async def close(self) -> None:
        await self.store.__aexit__(None, None, None)

    async def put(self, *counters: int) -> None:
        async with self.store.unit() as uow:
            for n in counters:
                await uow.owe(UPPER, LANE, alarm(n))


class PostgresBench(StoreBench):
    kind = "postgres"


@pytest.fixture(params=[SpoolBench, StoreBench, PostgresBench], ids=["spool", "sqlite", "postgres"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SpoolBench | StoreBench]:
    bench = request.param(tmp_path)
    bench.box = await bench.open()
    yield bench
    await bench.close()


def receipt(box: Outbox, *stored: tuple[int, int], refused: tuple[Refusal, ...] = (), **more: object) -> Receipt:
    ranges = Ranges(stored)
    values = {"node": "320600", "epoch": box.epoch, "lane": LANE, "stored": stored, "high": ranges.high}
    return Receipt.model_validate({**values, "store_epoch": OTHER, "at": START, "refused": refused, **more})


async def owed(box: Outbox, after: int = 0, limit: int = 1000) -> list[int]:
    parcels = await box.pending(LANE, after, limit)
    return [json.loads(one.body)["event"]["origincounter"] for one in parcels if not one.void]


async def test_numbers_count_from_one_without_gaps_and_in_order(bench) -> None:
    await bench.put(10, 11)
    await bench.put(12)
    parcels = await bench.box.pending(LANE, 0, 100)
    assert [(one.first, one.last, one.void) for one in parcels] == [(1, 1, False), (2, 2, False), (3, 3, False)]
    assert await owed(bench.box, 0, 2) == [10, 11]
    assert await owed(bench.box, 2) == [12]
    assert (await bench.box.depth())[LANE] == 3
    assert await bench.box.pending(Lane.LIVE, 0, 100) in ([], ())


async def test_bodies_are_records_that_a_receiver_reads(bench) -> None:
    await bench.put(1, 2, 3)
    parcels = await bench.box.pending(LANE, 0, 100)
    (packed,) = pack("320623", bench.box.epoch, LANE, parcels)
    intake = judge(parse_frame(packed.payload), Held())
    assert [one.event.origincounter for one in intake.fresh] == [1, 2, 3]
    await bench.box.settle(intake.receipt("320600", OTHER, START))
    assert (await bench.box.depth())[LANE] == 0


async def test_a_receipt_forgets_exactly_what_it_names_and_only_once(bench) -> None:
    await bench.put(*range(1, 7))
    await bench.box.pending(LANE, 0, 100)
    settled = await bench.box.settle(receipt(bench.box, (1, 2), (4, 4)))
    assert (settled.stored, settled.refused) == (3, 0)
    assert (await bench.box.settle(receipt(bench.box, (1, 2), (4, 4)))).stored == 0
    assert await owed(bench.box) == [3, 5, 6]
    assert (await bench.box.settled(LANE)).to_list() == [[1, 2], [4, 4]]
    assert (await bench.box.depth())[LANE] == 3


async def test_another_epoch_means_nothing(bench) -> None:
    await bench.put(1)
    await bench.box.pending(LANE, 0, 100)
    settled = await bench.box.settle(receipt(bench.box, (1, 1), epoch=OTHER))
    assert (settled.stored, settled.refused) == (0, 0)
    assert await owed(bench.box) == [1]


async def test_refused_leaves_the_way_and_is_not_settled(bench) -> None:
    await bench.put(1, 2, 3)
    await bench.box.pending(LANE, 0, 100)
    refusal = Refusal(seq=2, code="bad_schema", detail="no such centre")
    settled = await bench.box.settle(receipt(bench.box, (1, 1), (3, 3), refused=(refusal,)))
    assert (settled.stored, settled.refused) == (2, 1)
    assert (await bench.box.settle(receipt(bench.box, (1, 1), (3, 3), refused=(refusal,)))).refused == 0
    assert await owed(bench.box) == []
    assert 2 not in await bench.box.settled(LANE)


async def test_replay_owes_the_history_again(bench) -> None:
    await bench.put(*range(1, 6))
    await bench.box.pending(LANE, 0, 100)
    await bench.box.settle(receipt(bench.box, (1, 5)))
    assert not await bench.box.replay(LANE, Ranges([(2, 4)]))
    assert await owed(bench.box) == [2, 3, 4]
    assert (await bench.box.settled(LANE)).to_list() == [[1, 1], [5, 5]]
    await bench.box.settle(receipt(bench.box, (1, 5)))
    assert (await bench.box.depth())[LANE] == 0


async def test_all_of_it_survives_a_restart(bench) -> None:
    await bench.put(1, 2, 3)
    await bench.box.pending(LANE, 0, 100)
    await bench.box.settle(receipt(bench.box, (1, 1)))
    epoch = bench.box.epoch
    await bench.close()
    bench.box = await bench.open()
    assert bench.box.epoch == epoch
    assert await owed(bench.box) == [2, 3]
    assert (await bench.box.settled(LANE)).to_list() == [[1, 1]]
    await bench.put(4)
    assert [one.first for one in await bench.box.pending(LANE, 0, 100)] == [2, 3, 4], "no number is used twice"


async def test_waiting_ends_with_a_change_and_is_not_missed(bench) -> None:
    async with asyncio.timeout(20):
        await bench.box.wait_changed()  # whatever lies there from before
        await bench.put(1)
        await bench.box.wait_changed()
        waiting = asyncio.ensure_future(bench.box.wait_changed())
        await asyncio.sleep(0)
        await bench.put(2)
        await waiting


async def test_numbers_never_sent_show_an_older_copy(bench) -> None:
    await bench.put(1, 2)
    await bench.box.pending(LANE, 0, 100)
    old = bench.box.epoch
    await bench.box.settle(receipt(bench.box, (1, 9)))
    assert bench.box.epoch != old, "under the old count the peer would take new records for old ones"
    assert await owed(bench.box) == [1, 2]


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_what_is_owed_is_read_from_any_number_on(bench, seed: int) -> None:
    """A model beside the outbox, which may keep what is new in memory and must not be seen to."""
    dice = random.Random(seed)
    owed_now: set[int] = set()
    settled: set[int] = set()
    given = 0

    async def put() -> None:
        nonlocal given
        count = dice.choice((1, 1, 2, 40))
        await bench.put(*range(given + 1, given + count + 1))
        owed_now.update(range(given + 1, given + count + 1))
        given += count

    async def settle() -> None:
        await bench.box.pending(LANE, 0, 10_000)  # what was never sent cannot be receipted
        named = {seq for seq in owed_now if dice.random() < 0.7}
        refused = {seq for seq in owed_now - named if dice.random() < 0.2}
        refusals = tuple(Refusal(seq=seq, code="bad_schema") for seq in sorted(refused))
        held = Ranges((seq, seq) for seq in sorted(named | settled))
        await bench.box.settle(receipt(bench.box, *held, refused=refusals))
        owed_now.difference_update(named | refused)
        settled.update(named)

    async def replay() -> None:
        lost = {seq for seq in settled if dice.random() < 0.3}
        assert not await bench.box.replay(LANE, Ranges((seq, seq) for seq in sorted(lost)))
        settled.difference_update(lost)
        owed_now.update(lost)

    async def restart() -> None:
        await bench.close()
        bench.box = await bench.open()

    for _ in range(30):
        await dice.choices((put, settle, replay, restart), (8, 5, 1, 1))[0]()
        for after in {0, dice.randrange(given + 1), given}:
            found = [one.first for one in await bench.box.pending(LANE, after, 10_000) if not one.void]
            assert found == sorted(seq for seq in owed_now if seq > after), f"after {after} of {given}"
    few = await bench.box.pending(LANE, 0, 3)
    assert [one.first for one in few] == [one.first for one in await bench.box.pending(LANE, 0, 10_000)][:3]
