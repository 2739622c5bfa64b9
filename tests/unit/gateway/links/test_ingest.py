"""Receiving: nothing is receipted before it is committed, and one bad record blocks nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from gateway.adapters.store_sqlite import SqliteStore
from gateway.links.arrival import Arrival
from gateway.links.ingest import Ingest, Policy
from gateway.links.tables import events, gaps
from protocols.aio.clock import ManualClock, new_ulid
from protocols.envelope import Event, Lane, Record
from protocols.errors import BadSchemaError, LinkError
from protocols.uplink import Frame, Receipt, VoidRange
from tests.support.databases import at_newest_schema
from tests.support.events import NODE, alarm

EPOCH = "01JGFJJZ000000000000000009"


class Room:
    """A room that remembers what it was given; `poison` counters make it crash, `refuse` ones are bad."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.poison: set[int] = set()
        self.refuse: set[int] = set()

    def check(self, event: Event) -> None:
        if event.origincounter in self.refuse:
            raise BadSchemaError("planted")

    async def apply(self, uow, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            if arrival.event.origincounter in self.poison:
                raise ZeroDivisionError
        uow.after_commit(lambda: self.given.extend(arrival.event.origincounter for arrival in arrivals))


class Counts:
    def __init__(self) -> None:
        self.values: Counter[str] = Counter()

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self.values[name] += int(by)


class Bench:
    def __init__(self, store: SqliteStore) -> None:
        self.store, self.room, self.counts = store, Room(), Counts()
        self.forwarded: list[Arrival] = []
        self.ingest = Ingest(store, "320600", self.counts)
        self.policy = Policy(lambda _node, _event: None, {alarm(1).type: self.room}, self.forward)

    async def forward(self, _uow, arrival: Arrival) -> None:
        self.forwarded.append(arrival)

    async def take(self, frame: Frame, node: str = NODE) -> Receipt:
        return await self.ingest.take(node, frame, self.policy)

    async def stored(self) -> list[str]:
        async with self.store.reading() as reader:
            return [row.id for row in await reader.execute(select(events))]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()
    async with SqliteStore(at_newest_schema(tmp_path / "g.db"), "320600", clock, lambda _: None) as store:
        bench = Bench(store)
        work = asyncio.ensure_future(bench.ingest.run())
        yield bench
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def frame(*records: tuple[int, Event], voids: tuple[VoidRange, ...] = (), epoch: str = EPOCH) -> Frame:
    made = tuple(Record(seq=seq, event=event) for seq, event in records)
    return Frame(node=NODE, epoch=epoch, lane=Lane.LIVE, records=made, voids=voids)


async def test_no_receipt_goes_out_before_the_commit(bench: Bench) -> None:
    commit, at_commit, go = bench.store._commit, asyncio.Event(), asyncio.Event()

    async def slow(batch) -> None:
        at_commit.set()
        await go.wait()
        await commit(batch)

    bench.store._commit = slow
    taking = asyncio.ensure_future(bench.take(frame((1, alarm(1)))))
    await at_commit.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not taking.done(), "a receipt before the commit loses the alarm when the process dies here"
    go.set()
    assert (await taking).stored == ((1, 1),)


async def test_a_commit_that_fails_gives_no_receipt_and_the_record_comes_again(bench: Bench) -> None:
    commit = bench.store._commit

    async def fail(batch) -> None:
        raise OperationalError("COMMIT", None, Exception("disk I/O error"))

    bench.store._commit = fail
    with pytest.raises(LinkError, match="disk I/O error"):
        await bench.take(frame((1, alarm(1))))
    assert (bench.room.given, await bench.stored()) == ([], [])
    bench.store._commit = commit
    assert (await bench.take(frame((1, alarm(1))))).stored == ((1, 1),)
    assert bench.room.given == [1]


async def test_the_same_hop_number_twice_is_one_event(bench: Bench) -> None:
    event = alarm(1)
    await bench.take(frame((1, event)))
    again = await bench.take(frame((1, event), (2, alarm(2))))
    assert (again.stored, bench.room.given) == (((1, 2),), [1, 2])
    assert bench.counts.values["link_records_duplicate_total"] == 1


async def test_the_same_event_by_another_number_is_one_event(bench: Bench) -> None:
    event = alarm(1)
    await bench.take(frame((1, event)))
    receipt = await bench.take(frame((7, event), epoch=new_ulid(ManualClock())))
    assert receipt.stored == ((7, 7),)
    assert (bench.room.given, len(bench.forwarded)) == ([1], 1)


async def test_a_refused_record_is_named_and_its_neighbours_are_stored(bench: Bench) -> None:
    bench.room.refuse = {2}
    receipt = await bench.take(frame((1, alarm(1)), (2, alarm(2)), (3, alarm(3))))
    assert (receipt.stored, [one.code for one in receipt.refused]) == (((1, 1), (3, 3)), ["bad_schema"])
    assert bench.room.given == [1, 3]


async def test_a_record_that_crashes_its_room_is_found_and_refused(bench: Bench) -> None:
    bench.room.poison = {2}
    receipts = await asyncio.gather(
        bench.take(frame((1, alarm(1)), (2, alarm(2)), (3, alarm(3)))),
        bench.take(frame((4, alarm(4))), node="320623-field1"),
    )
    assert [(one.seq, one.code) for one in receipts[0].refused] == [(2, "internal")]
    assert receipts[0].stored == ((1, 1), (3, 3))
    assert receipts[1].stored == ((4, 4),)
    assert sorted(bench.room.given) == [1, 3, 4]
    assert len(await bench.stored()) == 3


async def test_a_poison_record_alone_is_refused_too(bench: Bench) -> None:
    bench.room.poison = {1}
    receipt = await bench.take(frame((1, alarm(1))))
    assert [(one.seq, one.code) for one in receipt.refused] == [(1, "internal")]


async def test_unknown_types_are_stored_whole_and_sent_on(bench: Bench) -> None:
    event = alarm(1).model_copy(update={"type": "cn.silian.future.v9"})
    await bench.take(frame((1, event)))
    async with bench.store.reading() as reader:
        (row,) = (await reader.execute(select(events))).all()
    assert Event.model_validate_json(row.body) == event
    assert bench.forwarded[0].hops[-1].node == "320600"


async def test_what_no_sender_holds_any_more_is_a_named_gap(bench: Bench) -> None:
    receipt = await bench.take(
        frame((4, alarm(4)), voids=(VoidRange(first=1, last=2), VoidRange(first=3, last=3, by=4)))
    )
    assert receipt.stored == ((1, 4),)
    async with bench.store.reading() as reader:
        (row,) = (await reader.execute(select(gaps))).all()
    assert (row.node, row.first, row.last) == (NODE, 1, 2)
    assert bench.counts.values["link_gaps_total"] == 2


async def test_frames_that_wait_share_a_commit(bench: Bench) -> None:
    commits = 0
    commit = bench.store._commit

    async def counted(batch) -> None:
        nonlocal commits
        commits += 1
        await commit(batch)

    bench.store._commit = counted
    nodes = [f"320623-n{n}" for n in range(20)]
    await asyncio.gather(*(bench.take(frame((1, alarm(n + 1))), node=node) for n, node in enumerate(nodes)))
    assert commits <= 2
    assert sorted(bench.room.given) == list(range(1, 21))
