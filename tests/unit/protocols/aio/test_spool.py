"""The spool: on disk before it is acknowledged, nothing dropped, nothing counted twice."""

import asyncio
import json
import shutil
import sqlite3

import pytest

from protocols.aio.clock import ManualClock, SystemClock
from protocols.aio.spool import MIB, Quota, Spool
from protocols.command import COMMAND
from protocols.envelope import Lane
from protocols.errors import BadSchemaError, ConfigError, LinkError, NotFoundError, SpoolFullError, TooLargeError
from protocols.ranges import Ranges
from protocols.uplink import Frame, Receipt, Refusal, pack, parse_frame
from tests.support.events import NODE, alarm

GATEWAY = "320600"
STORE = "01JGFJJZ000000000000000000"


def receipt(spool: Spool, lane: Lane, stored=(), refused=()) -> Receipt:
    ranges = Ranges(stored)
    return Receipt(
        node=GATEWAY,
        epoch=spool.epoch,
        lane=lane,
        stored=tuple(ranges.to_list()),
        refused=tuple(refused),
        high=ranges.high,
        store_epoch=STORE,
        at=SystemClock().now(),
    )


async def settle(spool: Spool, lane: Lane, stored=(), refused=()):
    """Hand out what is owed, as a link does, then land the receipt for it."""
    await spool.pending(lane, 0, 100_000)
    return await spool.settle(receipt(spool, lane, stored, refused))


@pytest.fixture
async def spool(tmp_path):
    spool = await Spool.open(tmp_path / "spool.db", clock=SystemClock(), quota=Quota(ballast=0))
    spool.note_link(up=True)
    yield spool
    await spool.close()


def records(parcels):
    return [json.loads(one.body)["event"]["origincounter"] for one in parcels if not one.void]


async def test_put_is_owed_until_its_receipt_and_kept_as_history(spool):
    assert [await spool.put(Lane.LIVE, alarm(n)) for n in range(3)] == [1, 2, 3]
    assert records(await spool.pending(Lane.LIVE, 0, 10)) == [0, 1, 2]
    settled = await settle(spool, Lane.LIVE, [(1, 2)])
    assert (settled.stored, settled.refused) == (2, 0)
    assert (await settle(spool, Lane.LIVE, [(1, 2)])).stored == 0
    assert records(await spool.pending(Lane.LIVE, 0, 10)) == [2]
    assert (await spool.figures()).history == 2
    assert (await spool.settled(Lane.LIVE)).to_list() == [[1, 2]]


async def test_numbers_epoch_counter_and_held_survive_a_restart(tmp_path):
    spool = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(ballast=0))
    spool.note_link(up=True)
    epoch = spool.epoch
    await spool.put(Lane.LIVE, alarm(1))
    await settle(spool, Lane.LIVE, [(1, 1)])
    assert await spool.next_origin_counter(10) == 1
    frame = parse_frame(
        next(iter(pack(GATEWAY, STORE, Lane.URGENT, (await spool.pending(Lane.LIVE, 0, 1)), ask=True))).payload
    )
    await spool.receive(NODE, GATEWAY, frame, handle=None)
    await spool.close()
    again = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(ballast=0))
    again.note_link(up=True)
    try:
        assert again.epoch == epoch
        assert await again.put(Lane.LIVE, alarm(2)) == 2, "a number is never used twice"
        assert await again.next_origin_counter() == 11
    finally:
        await again.close()
    (tmp_path / "s.db").unlink()
    fresh = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(ballast=0))
    assert fresh.epoch != epoch
    await fresh.close()


async def test_refused_goes_to_quarantine_and_can_be_sent_again(spool):
    for n in range(3):
        await spool.put(Lane.LIVE, alarm(n))
    refusal = Refusal(seq=2, code="bad_schema", detail="unknown centre")
    settled = await settle(spool, Lane.LIVE, [(1, 1), (3, 3)], [refusal])
    assert (settled.stored, settled.refused) == (2, 1)
    (void,) = await spool.pending(Lane.LIVE, 0, 10)
    assert void.void, "its number is told to be void, so that no gap remains"
    assert json.loads(void.body) == {"first": 2, "last": 2, "by": 0}
    (kept,) = await spool.quarantine()
    assert (kept.code, kept.detail, kept.event.origincounter) == ("bad_schema", "unknown centre", 1)
    assert await spool.resend(kept.id) == 4
    assert records(await spool.pending(Lane.LIVE, 0, 10)) == [1]
    assert await spool.quarantine() == []
    with pytest.raises(NotFoundError):
        await spool.resend(kept.id)


async def test_replay_from_history_and_a_gap_beyond_it(spool):
    for n in range(1, 6):
        await spool.put(Lane.LIVE, alarm(n))
    await settle(spool, Lane.LIVE, [(1, 5)])
    connection = sqlite3.connect(spool._file._db.execute("PRAGMA database_list").fetchone()[2])
    connection.execute("DELETE FROM records WHERE id & 0xffffffffffff = 2")
    connection.commit()
    connection.close()
    beyond = await spool.replay(Lane.LIVE, Ranges([(2, 4)]))
    assert beyond.to_list() == [[2, 2]]
    parcels = await spool.pending(Lane.LIVE, 0, 10)
    assert [(one.first, one.void) for one in parcels] == [(2, True), (3, False), (4, False)]
    assert json.loads(parcels[0].body)["by"] is None
    await settle(spool, Lane.LIVE, [(1, 5)])
    assert await spool.pending(Lane.LIVE, 0, 10) == []
    assert spool.counters["replayed"] == 2
    assert spool.counters["gaps"] == 1


async def test_history_ends_with_its_time(tmp_path):
    clock = ManualClock()
    spool = await Spool.open(tmp_path / "s.db", clock=clock, quota=Quota(history_s=3600, ballast=0))
    spool.note_link(up=True)
    try:
        for n in range(1, 11):
            await spool.put(Lane.LIVE, alarm(n))
        await settle(spool, Lane.LIVE, [(1, 5)])
        await clock.advance(4000)
        await settle(spool, Lane.LIVE, [(1, 10)])
        assert (await spool.figures()).history == 5
        assert (await spool.replay(Lane.LIVE, Ranges([(1, 10)]))).to_list() == [[1, 5]]
    finally:
        await spool.close()


async def test_history_keeps_to_its_own_quota(tmp_path):
    spool = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(history=100_000, ballast=0))
    spool.note_link(up=True)
    try:
        for start in range(1, 2000, 100):
            await spool.put_many([(Lane.LIVE, alarm(n)) for n in range(start, start + 100)])
            await settle(spool, Lane.LIVE, [(1, start + 99)])
        figures = await spool.figures()
        assert 50 < figures.history < 400
        assert spool.counters["history_dropped"] > 1500
    finally:
        await spool.close()


async def test_lane_is_chosen_so_that_a_backlog_never_delays_what_is_new(spool):
    spool.note_link(up=False)
    await spool.put(Lane.LIVE, alarm(1))
    await spool.put(Lane.URGENT, alarm(2))
    assert await spool.depth() == {Lane.URGENT: 1, Lane.LIVE: 0, Lane.BACKFILL: 1}
    spool.note_link(up=True)
    await spool.put_many([(Lane.LIVE, alarm(n)) for n in range(3, 303)])
    await spool.put_many([(Lane.LIVE, alarm(n)) for n in range(303, 603)])
    assert await spool.depth() == {Lane.URGENT: 1, Lane.LIVE: 300, Lane.BACKFILL: 301}


async def test_near_the_quota_repeats_are_folded_and_counted(tmp_path):
    spool = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(total=1 * MIB, ballast=0))
    try:
        total = 6000
        for start in range(1, total, 50):
            await spool.put_many([(Lane.LIVE, alarm(n, key=f"k{n % 7}")) for n in range(start, start + 50)])
        assert spool.counters["coalesced"] > 1000
        assert spool.counters["full"] == 0
        raises, numbers, after = 0, Ranges(), 0
        while parcels := await spool.pending(Lane.BACKFILL, after, 512):
            after = parcels[-1].last
            for one in parcels:
                numbers.add(one.first, one.last)
                body = json.loads(one.body)
                if one.void:
                    assert body["by"] > one.last, "a void names a later survivor"
                else:
                    raises += body["event"]["data"]["count"]
        assert raises == total, "every raise is counted exactly once"
        assert numbers.to_list() == [[1, total]], "every number is a record or void"
    finally:
        await spool.close()


async def test_void_names_a_survivor_that_is_owed(tmp_path):
    spool = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(total=1 * MIB, ballast=0))
    try:
        for start in range(1, 5000, 50):
            await spool.put_many([(Lane.LIVE, alarm(n, key="one")) for n in range(start, start + 50)])
        alive, named, after = set(), set(), 0
        while parcels := await spool.pending(Lane.BACKFILL, after, 512):
            after = parcels[-1].last
            alive |= {one.first for one in parcels if not one.void}
            named |= {json.loads(one.body)["by"] for one in parcels if one.void}
        assert named <= alive
    finally:
        await spool.close()


async def test_at_the_border_the_sensor_hears_it_and_receipts_still_work(tmp_path):
    spool = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(total=MIB // 2, ballast=0))
    try:
        stored = 0
        while spool.counters["full"] == 0:
            try:
                await spool.put(Lane.LIVE, alarm(stored, pad=190))
                stored += 1
            except SpoolFullError:
                assert spool.counters["full"] == 1
        assert stored > 200
        seen, after = 0, 0
        while parcels := await spool.pending(Lane.BACKFILL, after, 512):
            after = parcels[-1].last
            seen += len(parcels)
        assert seen == stored, "what was taken is still there"
        await settle(spool, Lane.BACKFILL, [(1, stored)])
        await spool.put(Lane.LIVE, alarm(10_001))
    finally:
        await spool.close()


async def test_what_may_be_on_the_wire_is_never_folded(tmp_path):
    spool = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(total=1 * MIB, ballast=0))
    try:
        await spool.put_many([(Lane.LIVE, alarm(n, key="one")) for n in range(1, 101)])
        sent = [one.first for one in await spool.pending(Lane.BACKFILL, 0, 100)]
        for start in range(101, 4000, 50):
            await spool.put_many([(Lane.LIVE, alarm(n, key="one")) for n in range(start, start + 50)])
        assert spool.counters["coalesced"] > 0
        still = await spool.pending(Lane.BACKFILL, 0, 100)
        assert [one.first for one in still] == sent
        assert not any(one.void for one in still)
    finally:
        await spool.close()


async def test_too_large_and_second_process(spool, tmp_path):
    with pytest.raises(TooLargeError):
        await spool.put(Lane.LIVE, alarm(1).model_copy(update={"data": {"x": "y" * 60_000}}))
    with pytest.raises(ConfigError, match="in use"):
        await Spool.open(tmp_path / "spool.db", clock=SystemClock())


async def test_damaged_file_is_set_aside(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"this is no database at all " * 1000)
    spool = await Spool.open(path, clock=SystemClock(), quota=Quota(ballast=0))
    await spool.put(Lane.LIVE, alarm(1))
    assert spool.counters["damaged"] == 1
    await spool.close()
    assert len(list(tmp_path.glob("s.db.damaged-*"))) == 1


async def test_many_writers_share_commits(spool):
    async with asyncio.TaskGroup() as group:
        for n in range(500):
            group.create_task(spool.put(Lane.LIVE, alarm(n)))
    assert spool.counters["put"] == 500
    assert spool.counters["commits"] < 100
    assert sum((await spool.depth()).values()) == 500


async def test_received_commands_once_and_refusals(spool):
    seen = []

    async def handle(record):
        if record.event.origincounter == 2:
            raise BadSchemaError("no such command")
        if record.event.origincounter == 9:
            raise LinkError("not now")
        seen.append(record.event.origincounter)

    def frame(*counters, first=1):
        bodies = [alarm(n, source=GATEWAY).model_copy(update={"type": COMMAND}) for n in counters]
        rows = [{"seq": first + at, "event": body.model_dump(mode="json")} for at, body in enumerate(bodies)]
        return Frame.model_validate({"node": GATEWAY, "epoch": STORE, "lane": "urgent", "records": rows})

    answer = await spool.receive(NODE, GATEWAY, frame(1, 2, 3), handle)
    assert answer.ranges().to_list() == [[1, 1], [3, 3]]
    assert [(one.seq, one.code) for one in answer.refused] == [(2, "bad_schema")]
    await spool.receive(NODE, GATEWAY, frame(1, 2, 3), handle)
    assert seen == [1, 3]
    with pytest.raises(LinkError):
        await spool.receive(NODE, GATEWAY, frame(9, first=4), handle)
    assert (await spool.held(GATEWAY, STORE, Lane.URGENT)).stored.high == 3


async def test_ballast_is_released_and_rebuilt(tmp_path, monkeypatch):
    clock = ManualClock()
    spool = await Spool.open(tmp_path / "s.db", clock=clock, quota=Quota(ballast=1 * MIB))
    spool.note_link(up=True)
    try:
        assert (tmp_path / "s.ballast").stat().st_size == MIB
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname = "SQLITE_FULL"
        real, failures = spool._file.commit, [full]

        def commit():
            if failures:
                raise failures.pop()
            real()

        monkeypatch.setattr(spool._file, "commit", commit)
        assert await spool.put(Lane.LIVE, alarm(1)) == 1
        assert spool.counters["ballast_released"] == 1
        assert not (await spool.figures()).ballast
        failures.append(full)
        with pytest.raises(SpoolFullError):
            await spool.put(Lane.LIVE, alarm(2))
        await clock.advance(60)
        await settle(spool, Lane.LIVE, [(1, 1)])
        assert (await spool.figures()).ballast
    finally:
        await spool.close()


@pytest.mark.parametrize("restarts", [0, 2])
async def test_an_older_copy_of_itself_counts_anew(tmp_path, restarts):
    """A restored disk image: the peer holds numbers that this file has yet to give, perhaps after further restarts."""
    first = await Spool.open(tmp_path / "s.db", clock=SystemClock(), quota=Quota(ballast=0))
    await first.put_many([(Lane.URGENT, alarm(n)) for n in range(1, 6)])
    await first.pending(Lane.URGENT, 0, 10)
    await first.settle(receipt(first, Lane.URGENT, [(1, 3)]))
    await first.close()
    shutil.copy(tmp_path / "s.db", tmp_path / "copy.db")
    copy = await Spool.open(tmp_path / "copy.db", clock=SystemClock(), quota=Quota(ballast=0))
    await copy.put_many([(Lane.URGENT, alarm(n)) for n in range(6, 20)])
    for _ in range(restarts):
        await copy.close()
        copy = await Spool.open(tmp_path / "copy.db", clock=SystemClock(), quota=Quota(ballast=0))
    try:
        old = copy.epoch
        await copy.settle(receipt(copy, Lane.URGENT, [(1, 12)]))  # the first connection answers "what have you got"
        assert copy.epoch != old
        assert copy.counters["renewed"] == 1
        assert records(await copy.pending(Lane.URGENT, 0, 99)) == list(range(1, 20)), "all that is held is owed again"
        await copy.settle(receipt(copy, Lane.URGENT, [(1, 19)]))
        assert not any((await copy.depth()).values())
    finally:
        await copy.close()


async def test_a_receipt_for_what_was_sent_is_no_alarm(spool):
    await spool.put(Lane.URGENT, alarm(1))
    await spool.pending(Lane.URGENT, 0, 1)
    epoch = spool.epoch
    await spool.settle(receipt(spool, Lane.URGENT, [(1, 1)]))
    assert spool.epoch == epoch
