"""Units of work that wait for one another: all or nothing for each, whoever shares a transaction with whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from gateway.adapters.sqlite_quick import QuickConnection
from gateway.adapters.store_sql import SqlStore
from gateway.links.tables import inbox
from gateway.ports.store import UPPER
from protocols.envelope import Lane
from tests.support.databases import Bench

ROW = {"node": "", "epoch": "01J0000000000000000000000A", "lane": "live", "held": "{}"}


@asynccontextmanager
async def queue_held(store: SqlStore) -> AsyncIterator[None]:
    """Hold the writers' queue: whoever asks for a unit meanwhile waits, in the order of asking."""
    async with store.state.lock:
        yield


async def write(store: SqlStore, number: int, *, fails: bool = False) -> None:
    async with store.unit() as uow:
        await uow.put(inbox, [ROW | {"node": f"node{number:02}"}])
        await uow.owe(UPPER, Lane.LIVE, uow.mint("cn.silian.test.v1", {"number": number}))
        uow.tell(number)
        if fails:
            raise ZeroDivisionError


async def nodes(store: SqlStore) -> list[str]:
    async with store.reading() as reader:
        return sorted(row.node for row in await reader.execute(select(inbox)))


async def test_one_that_fails_among_those_that_wait_is_taken_back_alone(bench: Bench) -> None:
    async with bench.open() as store:
        async with queue_held(store):
            works = [asyncio.ensure_future(write(store, n, fails=n in {0, 3, 7})) for n in range(8)]
            await asyncio.sleep(0)
        results = await asyncio.gather(*works, return_exceptions=True)
        assert [n for n, result in enumerate(results) if isinstance(result, ZeroDivisionError)] == [0, 3, 7]
        assert [n for n, result in enumerate(results) if result is None] == [1, 2, 4, 5, 6]
        assert await nodes(store) == ["node01", "node02", "node04", "node05", "node06"]
        assert bench.happened == [1, 2, 4, 5, 6]
        owed = await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)
        assert [parcel.first for parcel in owed] == [1, 2, 3, 4, 5]
        assert (await store.outbox(UPPER).depth())[Lane.LIVE] == 5
    async with bench.open() as store:
        await write(store, 9)
        assert [parcel.first for parcel in await store.outbox(UPPER).pending(Lane.LIVE, 5, 10)] == [6]


async def test_a_unit_is_left_only_when_others_can_read_what_it_wrote(bench: Bench) -> None:
    async with bench.open() as store:
        seen: list[bool] = []

        async def work(number: int) -> None:
            await write(store, number)
            seen.append(f"node{number:02}" in await nodes(store))

        await asyncio.gather(*(work(number) for number in range(20)))
        assert seen == [True] * 20


async def test_what_memory_owes_to_a_commit_is_there_for_the_next_unit(bench: Bench) -> None:
    async with bench.open() as store:
        memory: list[int] = []
        found: list[int] = []

        async def work(number: int) -> None:
            async with store.unit() as uow:
                found.append(len(memory))
                await uow.put(inbox, [ROW | {"node": f"node{number:02}"}])
                uow.after_commit(lambda: memory.append(number))

        await asyncio.gather(*(work(number) for number in range(6)))
        assert found == [0, 1, 2, 3, 4, 5]


async def test_those_that_wait_share_a_commit(file_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0
    commit = QuickConnection.commit

    async def counted(self: QuickConnection) -> None:
        nonlocal commits
        commits += 1
        await commit(self)

    monkeypatch.setattr(QuickConnection, "commit", counted)
    async with file_bench.open() as store:
        async with queue_held(store):
            works = [asyncio.ensure_future(write(store, number)) for number in range(30)]
            await asyncio.sleep(0)
            before = commits
        await asyncio.gather(*works)
        assert commits == before + 1
        assert len(await nodes(store)) == 30


async def test_those_that_go_away_while_waiting_keep_nobody_waiting(bench: Bench) -> None:
    async with bench.open() as store:
        async with queue_held(store):
            first = asyncio.ensure_future(write(store, 1))
            gone = [asyncio.ensure_future(write(store, number)) for number in (2, 3)]
            await asyncio.sleep(0)
        while not first.done():  # it has left its transaction to those who wait, or is on its way to the disk
            for work in gone:
                work.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(first, *gone, return_exceptions=True)
        assert first.exception() is None
        assert "node01" in await nodes(store)
        await write(store, 4)


async def test_one_cancelled_after_its_work_is_on_disk_all_the_same(file_bench: Bench) -> None:
    async with file_bench.open() as store:
        left = asyncio.Event()

        async def work() -> None:
            async with store.unit() as uow:
                await uow.put(inbox, [ROW | {"node": "node01"}])
                left.set()

        async with queue_held(store):
            first, second = asyncio.ensure_future(work()), asyncio.ensure_future(write(store, 2))
            await asyncio.sleep(0)
        await left.wait()
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert await nodes(store) == ["node01", "node02"]


async def test_a_disk_that_is_full_fails_all_that_share_and_loses_nothing_that_was_kept(file_bench: Bench) -> None:
    async with file_bench.open() as store:
        await write(store, 1)

        async def pages(number: int) -> None:
            async with store.unit() as uow:
                await uow.execute(text(f"PRAGMA max_page_count = {number}"))

        async def fill(number: int) -> None:
            async with store.unit() as uow:
                for _ in range(50):
                    await uow.owe(UPPER, Lane.LIVE, uow.mint("cn.silian.test.v1", {"of": number, "text": "x" * 2000}))

        await pages(1)  # SQLite takes the present size as the least
        results: list[object] = []
        for _ in range(20):
            results += await asyncio.gather(*(fill(number) for number in range(8)), return_exceptions=True)
        failed = [result for result in results if result is not None]
        assert failed
        assert all(isinstance(result, OperationalError) and "full" in str(result) for result in failed)
        await pages(1_000_000)
        await write(store, 2)
        parcels = await store.outbox(UPPER).pending(Lane.LIVE, 0, 20_000)
        kept = len(results) - len(failed)
        assert [parcel.first for parcel in parcels] == list(range(1, 1 + kept * 50 + 2))


async def test_a_unit_that_takes_long_leaves_the_process_alive(file_bench: Bench) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"
    async with file_bench.open() as store:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        async with store.unit(long=True) as uow:
            before = turns
            assert (await uow.execute(text(many))).scalar_one() == 300_000
            assert turns > before
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)


async def test_a_unit_that_takes_long_keeps_none_waiting_that_was_done_before(file_bench: Bench) -> None:
    async with file_bench.open() as store:
        go = asyncio.Event()

        async def slow() -> None:
            async with store.unit(long=True) as uow:
                await uow.put(inbox, [ROW | {"node": "node02"}])
                await go.wait()

        async with queue_held(store):
            first, second = asyncio.ensure_future(write(store, 1)), asyncio.ensure_future(slow())
            await asyncio.sleep(0)
        await first
        assert await nodes(store) == ["node01"]
        go.set()
        await second
        assert await nodes(store) == ["node01", "node02"]


async def test_another_process_that_writes_is_waited_for_without_standing_still(
    file_bench: Bench, tmp_path: Path
) -> None:
    async with file_bench.open() as store:
        other = QuickConnection(tmp_path / "gateway.db")
        await other
        await other.work(lambda connection: connection.execute("BEGIN IMMEDIATE"))
        work = asyncio.ensure_future(write(store, 1))
        while not store.state.lock.locked():
            await asyncio.sleep(0)
        assert not work.done()
        assert await nodes(store) == []
        await other.rollback()
        await other.close()
        await work
        assert await nodes(store) == ["node01"]
