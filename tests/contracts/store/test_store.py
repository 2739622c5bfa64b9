"""What every store must keep: all or nothing, what is owed with what was received, one identity per database."""

import asyncio
import contextlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.adapters.store_sql import SqlStore
from gateway.escalation.tables import noticed
from gateway.links.tables import gaps, inbox
from gateway.ports.store import UPPER, Wanted
from protocols.envelope import Lane
from protocols.receiver import Held
from protocols.uplink import Receipt
from tests.support.databases import Bench

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
ROW = {"node": "320623-box", "epoch": "01J0000000000000000000000A", "lane": "live", "held": "{}"}


async def owe(store: SqlStore, count: int = 1, peer: str = UPPER, lane: Lane = Lane.LIVE) -> None:
    async with store.unit() as uow:
        for number in range(count):
            await uow.owe(peer, lane, uow.mint("cn.silian.test.v1", {"number": number}))


def receipt(store: SqlStore, *stored: tuple[int, int], lane: Lane = Lane.LIVE, **more: object) -> Receipt:
    high = max((last for _, last in stored), default=0)
    values = {"node": "320000", "epoch": store.epoch, "lane": lane, "stored": stored, "high": high}
    return Receipt.model_validate({**values, "store_epoch": store.epoch, "at": START, **more})


async def test_leaving_a_unit_commits_and_an_exception_rolls_all_back(bench: Bench) -> None:
    async with bench.open() as store:

        async def fail() -> None:
            async with store.unit() as uow:
                await uow.put(inbox, [ROW])
                await uow.owe(UPPER, Lane.LIVE, uow.mint("cn.silian.test.v1", {}))
                uow.tell("never")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        async with store.reading() as reader:
            assert (await reader.execute(select(inbox))).all() == []
        assert not await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)
        assert bench.happened == []
        async with store.unit() as uow:
            await uow.put(inbox, [ROW])
            await uow.put(inbox, [ROW | {"held": "[]"}])
            uow.tell("then")
        async with store.reading() as reader:
            assert [row.held for row in await reader.execute(select(inbox))] == ["[]"]
        assert bench.happened == ["then"]


async def test_cancelling_a_unit_leaves_the_store_usable(bench: Bench) -> None:
    async with bench.open() as store:
        inside = asyncio.Event()

        async def work() -> None:
            async with store.unit() as uow:
                await uow.put(inbox, [ROW])
                inside.set()
                await asyncio.sleep(60)

        task = asyncio.ensure_future(work())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with store.unit() as uow:
            assert (await uow.execute(select(inbox))).all() == []


async def test_cancelling_in_the_middle_of_a_statement_leaves_the_store_usable(bench: Bench) -> None:
    async with bench.open() as store:
        for pause in range(12):

            async def work() -> None:
                async with store.unit() as uow:
                    for number in range(50):
                        await uow.put(inbox, [ROW | {"node": f"node{number}"}])

            task = asyncio.ensure_future(work())
            for _ in range(pause * 3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await owe(store, 1)
        assert len(await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)) == 1


async def test_numbers_epoch_and_counter_outlive_the_process(bench: Bench) -> None:
    async with bench.open() as store:
        await owe(store, 3)
        epoch = store.epoch
        async with store.unit() as uow:
            before = uow.mint("cn.silian.test.v1", {}).origincounter
    async with bench.open() as store:
        assert store.epoch == epoch
        await owe(store, 1)
        parcels = await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)
        assert [parcel.first for parcel in parcels] == [1, 2, 3, 4]
        async with store.unit() as uow:
            assert uow.mint("cn.silian.test.v1", {}).origincounter > before


async def test_numbers_are_not_reused_when_the_outbox_is_empty(bench: Bench) -> None:
    async with bench.open() as store:
        await owe(store, 2)
        await store.outbox(UPPER).settle(receipt(store, (1, 2)))
    async with bench.open() as store:
        await owe(store, 1)
        assert [p.first for p in await store.outbox(UPPER).pending(Lane.LIVE, 0, 9)] == [3]


async def test_a_restored_file_takes_a_new_epoch(file_bench: Bench, tmp_path: Path) -> None:
    async with file_bench.open() as store:
        await owe(store, 2)
        old = store.epoch
    path = tmp_path / "gateway.db"
    shutil.copy(path, tmp_path / "backup.db")
    async with file_bench.open() as store:
        await owe(store, 5)
    path.write_bytes((tmp_path / "backup.db").read_bytes())  # in place: the inode stays, the mark is ahead
    async with file_bench.open() as store:
        assert store.epoch != old
        second = store.epoch
    async with file_bench.open() as store:
        assert store.epoch == second, "once is enough"
    (tmp_path / "moved.db").write_bytes(path.read_bytes())
    path.unlink()
    (tmp_path / "moved.db").rename(path)  # another inode
    async with file_bench.open() as store:
        assert store.epoch not in {old, second}


async def test_a_peer_that_holds_numbers_never_given_makes_a_new_epoch(bench: Bench) -> None:
    async with bench.open() as store:
        await owe(store, 2)
        old = store.epoch
        await store.outbox(UPPER).settle(receipt(store, (1, 7)))
        assert store.epoch != old
        assert len(await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)) == 2


async def test_while_the_link_is_down_new_records_join_the_backfill(bench: Bench) -> None:
    async with bench.open() as store:
        store.note_link(UPPER, up=False)
        await owe(store, 2)
        store.note_link(UPPER, up=True)
        await owe(store, 1)
        depth = await store.outbox(UPPER).depth()
        assert (depth[Lane.BACKFILL], depth[Lane.LIVE]) == (2, 1)


async def test_what_expired_is_withdrawn_as_void(bench: Bench) -> None:
    async with bench.open() as store:
        async with store.unit() as uow:
            event = uow.mint("cn.silian.command.v1", {})
            await uow.owe("320623", Lane.URGENT, event, expires_at=uow.now)
        await bench.clock.advance(1)
        await store.tidy()
        (parcel,) = await store.outbox("320623").pending(Lane.URGENT, 0, 10)
        assert (parcel.void, parcel.body) == (True, '{"first":1,"last":1,"by":1}')


async def test_a_refused_record_can_be_sent_again(bench: Bench) -> None:
    async with bench.open() as store:
        await owe(store, 2)
        refusal = {"seq": 1, "code": "bad_clock", "detail": "a day off"}
        done = await store.outbox(UPPER).settle(receipt(store, (2, 2), refused=[refusal]))
        assert (done.stored, done.refused) == (1, 1)
        (found,) = await store.quarantine()
        assert (found.code, found.event["data"]) == ("bad_clock", {"number": 0})
        await store.resend(found.id)
        (parcel,) = await store.outbox(UPPER).pending(Lane.LIVE, 0, 10)
        assert parcel.first == 3
        assert (await store.quarantine())[0].resent


async def test_held_ranges_survive_as_text() -> None:
    held = Held()
    held.stored.add(1, 5)
    assert Held.from_json(held.to_json()).stored == held.stored


async def test_looking_at_a_lane_is_no_reason_to_take_the_database_for_a_copy(bench: Bench) -> None:
    async with bench.open() as store:
        await store.outbox("320612-box").pending(Lane.URGENT, 0, 1)
        await store.outbox(UPPER).pending(Lane.LIVE, 0, 1)
        await owe(store, lane=Lane.URGENT)
        epoch = store.epoch
    async with bench.open() as store:
        assert store.epoch == epoch


async def test_what_fails_after_the_commit_does_not_undo_it(bench: Bench) -> None:
    async with bench.open() as store:
        async with store.unit() as uow:
            await uow.put(inbox, [ROW])
            uow.after_commit(lambda: 1 / 0)
            uow.after_commit(lambda: bench.happened.append("then"))
        assert bench.happened == ["then"]
        await owe(store, 1)
        async with store.reading() as reader:
            assert len((await reader.execute(select(inbox))).all()) == 1


async def test_units_do_not_nest(bench: Bench) -> None:
    async def nest(store: SqlStore) -> None:
        async with store.unit(), store.unit():
            pass

    async with bench.open() as store:
        with pytest.raises(AssertionError, match="nest"):
            await nest(store)
        await owe(store, 1)


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room_again(file_bench: Bench) -> None:
    async with file_bench.open() as store:
        await owe(store, 1)

        async def pages(number: int) -> None:
            async with store.unit() as uow:
                await uow.execute(text(f"PRAGMA max_page_count = {number}"))

        async def fill() -> None:
            for _ in range(50):
                await owe(store, 50)

        await pages(1)  # SQLite takes the present size as the least
        with pytest.raises(OperationalError, match="full"):
            await fill()
        before = (await store.outbox(UPPER).depth())[Lane.LIVE]
        await pages(1_000_000)
        await owe(store, 1)
        parcels = await store.outbox(UPPER).pending(Lane.LIVE, 0, 5000)
        assert len(parcels) == before + 1
        assert [parcel.first for parcel in parcels] == list(range(1, before + 2))


async def test_rows_are_found_by_many_keys_with_the_types_of_their_columns(bench: Bench) -> None:
    rows = [ROW | {"node": f"{number:06}-box", "held": f"[{number}]"} for number in range(700)]
    async with bench.open() as store:
        async with store.unit() as uow:
            await uow.add(inbox, rows)
            hole = {"node": "320623-box", "epoch": "e", "lane": "live", "first": 2, "last": 2**40, "found_at": START}
            await uow.add(gaps, [hole])
        async with store.unit() as uow:
            await uow.put(inbox, [rows[1] | {"held": "[]"}])
            wanted = [(row["node"], row["epoch"], row["lane"]) for row in rows] + [("999999-box", "e", "live")]
            held, found, none = await uow.find(
                Wanted(inbox, wanted), Wanted(gaps, [("e",)], ("epoch",)), Wanted(gaps, [])
            )
    assert {row.node: row.held for row in held} == {row["node"]: row["held"] for row in rows} | {"000001-box": "[]"}
    assert [(row.first, row.last, row.found_at) for row in found] == [(2, 2**40, START)]
    assert none == []


async def test_rows_that_are_nothing_but_their_key_are_put_once(bench: Bench) -> None:
    pairs = [{"notice_id": f"{number:026}", "alarm_id": "01J0000000000000000000000A"} for number in range(5)]
    async with bench.open() as store:
        for some in (pairs[:3], pairs[1:], pairs[4:]):
            async with store.unit() as uow:
                await uow.put(noticed, some)
        async with store.reading() as reader:
            assert len((await reader.execute(select(noticed))).all()) == 5


async def test_a_unit_cannot_commit_after_a_write_that_failed_unseen(bench: Bench) -> None:
    async with bench.open() as store:
        await owe(store)

        async def swallow() -> None:
            async with store.unit() as uow:
                await uow.add(inbox, [ROW])
                with contextlib.suppress(DBAPIError):
                    await uow.add(inbox, [ROW])
                    await uow.execute(select(gaps))

        with pytest.raises(DBAPIError):
            await swallow()
        async with store.unit() as uow:
            assert (await uow.execute(select(inbox))).all() == []
            await uow.put(inbox, [ROW])
        async with store.reading() as reader:
            assert len((await reader.execute(select(inbox))).all()) == 1
