"""Several replicas of one gateway on one database: one count of numbers, one epoch, and each hears of the other."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.adapters.store_sql import SqlStore
from gateway.adapters.store_tables import meta
from gateway.links.tables import gaps, inbox
from gateway.ports.store import UPPER
from protocols.aio.clock import ManualClock
from protocols.envelope import Lane
from protocols.uplink import Receipt
from tests.support.databases import Bench, new_bench
from tests.support.until import until

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
ROW = {"node": "320623-box", "epoch": "01J0000000000000000000000A", "lane": "live", "held": "{}"}


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return await new_bench("postgres", tmp_path, ManualClock(START))


@pytest.fixture
async def pair(bench: Bench) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    async with bench.open("a") as one, bench.open("b") as other:
        yield one, other


async def owe(store: SqlStore, count: int = 1, lane: Lane = Lane.LIVE) -> None:
    async with store.unit() as uow:
        for number in range(count):
            await uow.owe(UPPER, lane, uow.mint("cn.silian.test.v1", {"number": number}))


def receipt(store: SqlStore, high: int, **more: object) -> Receipt:
    values = {"node": "320000", "epoch": store.epoch, "lane": Lane.LIVE, "stored": ((1, high),), "high": high}
    return Receipt.model_validate({**values, "store_epoch": store.epoch, "at": START, **more})


async def test_numbers_and_counters_are_given_once_by_whoever_writes(pair: tuple[SqlStore, SqlStore]) -> None:
    await asyncio.gather(*(owe(store, 3) for _ in range(20) for store in pair))
    for store in pair:
        parcels = await store.outbox(UPPER).pending(Lane.LIVE, 0, 1000)
        assert [parcel.first for parcel in parcels] == list(range(1, 121))
    counters = [parcel.body.partition('"origincounter":')[2].partition(",")[0] for parcel in parcels]
    assert [int(one) for one in counters] == sorted({int(one) for one in counters}), "in the order of the commits"


async def test_both_have_one_epoch_and_a_receipt_of_the_others_numbers_is_no_older_copy(
    pair: tuple[SqlStore, SqlStore],
) -> None:
    one, other = pair
    assert one.epoch == other.epoch
    await owe(one, 5)
    settled = await other.outbox(UPPER).settle(receipt(other, 5))
    assert settled.stored == 5
    assert one.epoch == other.epoch
    assert not await one.outbox(UPPER).pending(Lane.LIVE, 0, 10)
    await until(lambda: one.waiting()[UPPER, Lane.LIVE] == 0)
    assert (await one.outbox(UPPER).settled(Lane.LIVE)).to_list() == [[1, 5]]
    assert (await one.outbox(UPPER).settle(receipt(one, 5))).stored == 0


async def test_a_new_epoch_is_known_to_both(pair: tuple[SqlStore, SqlStore]) -> None:
    one, other = pair
    await owe(one, 2)
    old = one.epoch
    await one.outbox(UPPER).settle(receipt(one, 7))
    assert one.epoch != old
    await until(lambda: other.epoch == one.epoch)
    async with other.unit() as uow:
        await uow.put(inbox, [ROW])
    assert other.epoch == one.epoch


async def test_what_one_owes_wakes_the_others_link(pair: tuple[SqlStore, SqlStore]) -> None:
    one, other = pair
    box = other.outbox(UPPER)
    async with asyncio.timeout(20):
        await box.wait_changed()  # whatever lies there from before
        waiting = asyncio.ensure_future(box.wait_changed())
        await asyncio.sleep(0)
        await owe(one, 1)
        await waiting
    assert len(await box.pending(Lane.LIVE, 0, 10)) == 1
    assert other.waiting()[UPPER, Lane.LIVE] == 1


async def test_who_watches_a_table_hears_of_the_others_changes_alone(pair: tuple[SqlStore, SqlStore]) -> None:
    one, other = pair
    heard: list[str] = []
    other.watch([inbox], lambda: heard.append("inbox"))
    other.watch([gaps], lambda: heard.append("gaps"))
    one.watch([inbox], lambda: heard.append("own"))
    async with one.unit() as uow:
        await uow.put(inbox, [ROW])
    await until(lambda: heard == ["inbox"])
    async with one.reading() as reader:
        assert (await reader.execute(select(inbox.c.node))).scalars().all() == [ROW["node"]]
    async with one.unit() as uow:
        assert len((await uow.execute(select(inbox))).all()) == 1  # reading changes nothing
    async with one.unit() as uow:
        await uow.execute(gaps.delete())
    await until(lambda: heard == ["inbox", "gaps"])


async def test_a_unit_of_one_waits_for_the_unit_of_the_other(pair: tuple[SqlStore, SqlStore]) -> None:
    one, other = pair
    order: list[str] = []

    async def later() -> None:
        async with other.unit() as uow:
            order.append("other")
            assert len((await uow.execute(select(inbox))).all()) == 1

    async with one.unit() as uow:
        waiting = asyncio.ensure_future(later())
        await asyncio.sleep(0.1)
        await uow.put(inbox, [ROW])
        order.append("one")
    await waiting
    assert order == ["one", "other"]


async def test_an_older_copy_stays_noticed_until_a_new_epoch_is_on_disk(pair: tuple[SqlStore, SqlStore]) -> None:
    one, _ = pair
    await owe(one, 3)
    old = one.epoch

    async def fall_back_and_fail() -> None:
        async with one.unit() as uow:
            await uow.execute(meta.update().where(meta.c.key == "version").values(value="1"))
            await uow._connection.commit()  # as a restored copy would have it
            raise ZeroDivisionError

    async def fail() -> None:
        async with one.unit():
            raise ZeroDivisionError

    for doing in (fall_back_and_fail, fail):
        with pytest.raises(ZeroDivisionError):
            await doing()
    assert one.epoch == old
    await owe(one, 1)
    assert one.epoch != old


async def test_what_a_replica_gives_up_leaves_no_hole(pair: tuple[SqlStore, SqlStore]) -> None:
    one, other = pair

    async def fail() -> None:
        async with one.unit() as uow:
            await uow.owe(UPPER, Lane.LIVE, uow.mint("cn.silian.test.v1", {}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await owe(other, 1)
    await owe(one, 1)
    assert [parcel.first for parcel in await one.outbox(UPPER).pending(Lane.LIVE, 0, 10)] == [1, 2]
