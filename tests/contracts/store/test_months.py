"""Partitions by month on a real PostgreSQL: made ahead, refusing nothing, append-only where it must be."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from gateway.adapters.store_months import missing, strays
from gateway.adapters.store_sql import SqlStore
from gateway.audit.tables import AUDIT
from gateway.links.tables import events
from protocols.aio.clock import ManualClock
from protocols.ids import ulid
from tests.support.databases import Bench, new_bench

END = datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC)
DEED = {"actor": "a", "action": "b", "target": "c", "outcome": 0, "address": "", "previous": "", "hash": ""}


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return await new_bench("postgres", tmp_path, ManualClock(END))


def event(at: datetime, salt: int = 0) -> dict[str, Any]:
    id_ = ulid(int(at.timestamp() * 1000), bytes([salt] * 10))
    row = {"source": "320623-box", "id": id_, "type": "t", "origincounter": 1, "sender": "320623-box"}
    return row | {"received_at": END, "body": None}


async def homes(store: SqlStore, table: str) -> list[str]:
    async with store.reading() as reader:
        found = await reader.execute(text(f"SELECT tableoid::regclass::text AS home FROM {table} ORDER BY home"))
        return [row.home for row in found]


async def test_the_turn_of_a_month_refuses_nothing_and_keeps_ahead(bench: Bench) -> None:
    async with bench.open() as store:
        async with store.unit() as uow:
            await uow.execute(insert(events), [event(END)])
            await uow.execute(insert(AUDIT), [DEED | {"seq": 1, "at": uow.now}])
        await bench.clock.advance(20)
        async with store.unit() as uow:
            await uow.execute(insert(events), [event(bench.clock.now())])
            await uow.execute(insert(AUDIT), [DEED | {"seq": 2, "at": uow.now}])
        assert await homes(store, "events") == ["events_202611", "events_202612"]
        assert await homes(store, "audit") == ["audit_202611", "audit_202612"]
        async with store.reading() as reader:
            assert {month.month for _, month in await missing(reader, bench.clock.now())} == {3}
        await store.tidy()
        async with store.reading() as reader:
            assert not await missing(reader, bench.clock.now())


async def test_what_fits_no_month_goes_to_the_default_and_its_month_stays_there(bench: Bench) -> None:
    far = datetime(2031, 3, 5, tzinfo=UTC)
    async with bench.open() as store:
        async with store.unit() as uow:
            await uow.execute(insert(events), [event(far), event(datetime(1999, 1, 1, tzinfo=UTC))])
        assert await homes(store, "events") == ["events_default", "events_default"]
        async with store.reading() as reader:
            assert dict(await strays(reader)) == {"events": 2}
        bench.clock.step((far - END).total_seconds())
        await store.tidy()
        async with store.unit() as uow:
            await uow.execute(insert(events), [event(far, salt=1)])
        assert await homes(store, "events") == ["events_default"] * 3
        async with store.reading() as reader:
            assert {(one.table, month.month) for one, month in await missing(reader, far)} == {("events", 3)}


async def test_an_event_is_there_once_over_all_months(bench: Bench) -> None:
    async with bench.open() as store:
        row = event(END)

        async def again() -> None:
            async with store.unit() as uow:
                await uow.execute(insert(events), [row | {"received_at": datetime(2027, 1, 5, tzinfo=UTC)}])

        await again()
        with pytest.raises(IntegrityError):
            await again()


@pytest.mark.parametrize("deed", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_the_audit_log_is_append_only(bench: Bench, deed: str) -> None:
    async with bench.open() as store:
        async with store.unit() as uow:
            await uow.execute(insert(AUDIT), [DEED | {"seq": 1, "at": uow.now}])

        async def meddle() -> None:
            async with store.unit() as uow:
                await uow.execute(text(deed))

        with pytest.raises(IntegrityError, match="append-only"):
            await meddle()
        async with store.reading() as reader:
            assert (await reader.execute(select(AUDIT.c.actor))).scalars().all() == ["a"]
