"""Replicas on a real store with a manual clock: sharing, death, pause, return, fence."""

from contextlib import AsyncExitStack

import pytest

from gateway.adapters.store_sqlite import SqliteStore
from gateway.metrics import Metrics
from gateway.replicas.fenced import FencedStore
from gateway.replicas.machine import BEAT_S, LEAD, TTL_S
from gateway.replicas.service import Replicas
from protocols.aio.clock import ManualClock
from protocols.errors import StoreAwayError
from tests.support.databases import at_newest_schema

NODES = [f"3206{n:02d}-box" for n in range(12)]


class Stage:
    """Replicas on one database; `beat` lets the named ones beat once."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock
        self.nodes = list(NODES)

    def replica(self, name):
        url = f"http://{name}"
        return Replicas(
            self.store, self.clock, Metrics(), name=name, url=lambda: url, version="1", wanted=lambda: self.nodes
        )

    async def pass_time(self, seconds, *beating):
        left = seconds
        while left > 0:
            await self.clock.advance(min(BEAT_S, left))
            left -= BEAT_S
            for one in beating:
                await one.beat()


@pytest.fixture
async def stage(tmp_path):
    clock = ManualClock()
    async with SqliteStore(at_newest_schema(tmp_path / "gateway.db"), "320600", clock, lambda event: None) as store:
        yield Stage(store, clock)


async def test_one_alone_leads_and_has_every_branch(stage):
    a = stage.replica("a")
    await a.beat()
    assert a.holds(LEAD)
    assert a.leading.is_set()
    assert a.branches() == set(NODES)
    assert a.leader().name == "a"
    assert a.leader().branches == len(NODES)


async def test_two_share_the_branches_and_the_lead_stays(stage):
    a, b = stage.replica("a"), stage.replica("b")
    await a.beat()
    await stage.pass_time(3 * BEAT_S, a, b)
    assert a.branches() | b.branches() == set(NODES)
    assert not a.branches() & b.branches()
    assert a.branches()
    assert b.branches()
    assert a.holds(LEAD)
    assert not b.holds(LEAD)
    assert b.leader().url == "http://a"
    assert [one.name for one in b.living()] == ["a", "b"]


async def test_the_living_one_takes_everything_within_seconds(stage):
    a, b = stage.replica("a"), stage.replica("b")
    await a.beat()
    await stage.pass_time(3 * BEAT_S, a, b)
    await stage.pass_time(TTL_S + BEAT_S, b)
    assert b.holds(LEAD)
    assert b.leading.is_set()
    assert b.branches() == set(NODES)
    assert [one.name for one in b.living()] == ["b"]
    assert [one.name for one in b.all()] == ["a", "b"], "the dead one is still shown"


async def test_one_that_was_paused_may_do_nothing_and_ends_itself(stage):
    a, b = stage.replica("a"), stage.replica("b")
    await a.beat()
    await stage.pass_time(2 * BEAT_S, a, b)
    had = a.branches()
    await stage.pass_time(TTL_S + BEAT_S, b)
    assert not a.holds(LEAD), "its own clock says so, before it has heard of anything"
    assert a.branches() == set()
    async with stage.store.unit() as uow:
        assert await a.lost(uow, had) == had
        assert await b.lost(uow, NODES) == set()
        with pytest.raises(StoreAwayError, match="another replica leads"):
            await a.check_lead(uow)
        await b.check_lead(uow)
    assert not a.resigned.is_set()
    await a.beat()
    assert a.resigned.is_set()
    assert not b.resigned.is_set()


async def test_the_fence_holds_even_where_the_paused_one_believes_in_its_time(stage):
    """The wall clock of another machine may run ahead: it claims early, and the transaction decides."""
    a, b = stage.replica("a"), stage.replica("b")
    await a.beat()
    stage.clock.step(TTL_S + 1)  # the wall alone: a's monotonic time has not run out
    await b.beat()
    assert a.holds(LEAD)
    async with stage.store.unit() as uow:
        assert await a.lost(uow, NODES) == set(NODES)
        with pytest.raises(StoreAwayError):
            await a.check_lead(uow)


async def test_nothing_is_written_through_the_fence(stage):
    a, b = stage.replica("a"), stage.replica("b")
    await a.beat()
    fenced = FencedStore(stage.store, a.check_lead)
    async with fenced.unit() as uow:
        assert uow.now == stage.clock.now()
    assert fenced.epoch == stage.store.epoch
    await stage.pass_time(TTL_S + BEAT_S, b)
    with pytest.raises(StoreAwayError, match="ask again"):
        async with fenced.unit():
            raise AssertionError("not reached")


async def test_a_database_that_was_away_ends_no_lead_that_nobody_took(stage):
    a = stage.replica("a")
    await a.beat()
    await stage.clock.advance(10 * TTL_S)
    assert not a.holds(LEAD)
    await a.beat()
    assert a.holds(LEAD)
    assert not a.resigned.is_set()
    async with stage.store.unit() as uow:
        await a.check_lead(uow)


async def test_gateways_below_are_the_leaders_and_fenced_by_its_lease(stage):
    stage.nodes.append("320623")
    a, b = stage.replica("a"), stage.replica("b")
    await a.beat()
    await stage.pass_time(2 * BEAT_S, a, b)
    assert a.mine("320623")
    assert "320623" in a.branches()
    assert "320623" not in b.branches()
    async with stage.store.unit() as uow:
        assert await a.lost(uow, ["320623"]) == set()
        assert await b.lost(uow, ["320623"]) == {"320623"}
    await stage.pass_time(TTL_S + BEAT_S, b)
    assert "320623" in b.branches()
    assert "320623" not in a.branches()


async def test_leaving_gives_everything_back_at_once(stage):
    a, b = stage.replica("a"), stage.replica("b")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(a)
        await b.beat()
        assert not b.holds(LEAD)
    await b.beat()
    assert b.holds(LEAD)
    assert b.branches() == set(NODES)


async def test_whoever_listens_is_told_of_each_change_and_a_new_node_finds_its_place(stage):
    a, told = stage.replica("a"), []

    async def listener(nodes):
        told.append(nodes)

    a.on_change(listener)
    async with a:
        assert told == [frozenset(NODES)]
        stage.nodes.append("320699-box")
        a.look_sooner()
        await stage.clock.advance(0.0)
        while len(told) < 2:
            await stage.clock.advance(0.0)
        assert told[1] == {*NODES, "320699-box"}
        await stage.clock.advance(BEAT_S)
        assert len(told) == 2
