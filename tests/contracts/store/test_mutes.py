"""What is muted is a row in either database: whole or not at all, there after a restart, gone when it is over."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from gateway.adapters.store_sql import SqlStore
from gateway.media.lasting import GONE_S
from gateway.media.mutes import Mutes
from gateway.media.tables import MUTES
from protocols.aio.clock import ManualClock
from protocols.errors import NotFoundError
from tests.support.databases import Bench

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
ROOM, OTHER, VOICE = "320612/room", "320623/room", "320600/call-01jd0000000000000000000000"


class Desk:
    """Mutes on an open store; `here` are the voices that stand, `told` what consoles were told."""

    def __init__(self, store: SqlStore, bench: Bench, *here: str) -> None:
        self.store = store
        self.here = set(here)
        self.told: list[frozenset[str]] = []
        assert isinstance(bench.clock, ManualClock)
        self.clock = bench.clock
        self.mutes = Mutes(store, self.clock, self.here.__contains__, self.told.append)

    async def rows(self) -> dict[str, tuple[str, datetime]]:
        async with self.store.reading() as reader:
            return {row.stream: (row.muted_by, row.muted_at) for row in await reader.execute(select(MUTES))}

    async def tidied(self, seconds: float) -> frozenset[str]:
        await self.mutes.tidy()
        await self.clock.advance(seconds)
        await self.mutes.tidy()
        return self.mutes.streams


async def test_what_was_answered_is_there_after_a_restart_and_what_was_taken_back_is_not(bench: Bench) -> None:
    async with bench.open() as store:
        desk = Desk(store, bench, ROOM, OTHER)
        await desk.mutes.mute(ROOM, by="wang")
        await desk.mutes.mute(OTHER, by="wang")
        await desk.mutes.mute(OTHER, by="li")
        await desk.mutes.unmute(ROOM, by="li")
        await desk.mutes.unmute(ROOM, by="li")
        assert desk.told == [{ROOM}, {OTHER}, {ROOM}]
    async with bench.open() as store:
        again = Desk(store, bench, ROOM, OTHER)
        await again.mutes.load()
        await again.mutes.settle()
        assert (again.mutes.streams, again.told) == ({OTHER}, [{OTHER}])
        assert await again.rows() == {OTHER: ("li", START)}
        await again.mutes.unmute(OTHER, by="wang")
        assert await again.rows() == {}


async def test_what_nobody_knows_is_not_muted(bench: Bench) -> None:
    async with bench.open() as store:
        desk = Desk(store, bench)
        with pytest.raises(NotFoundError, match=ROOM):
            await desk.mutes.mute(ROOM, by="wang")
        assert (await desk.rows(), desk.told) == ({}, [])


async def test_a_request_that_is_given_up_leaves_row_and_memory_of_one_mind(bench: Bench) -> None:
    async with bench.open() as store:
        desk = Desk(store, bench, ROOM)
        async with store.state.lock:  # the writers' queue: the mute waits for its turn
            waiting = asyncio.ensure_future(desk.mutes.mute(ROOM, by="wang"))
            await asyncio.sleep(0)
            assert not desk.mutes.streams, "nobody is told before it is written"
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert (await desk.rows(), desk.mutes.streams, desk.told) == ({}, frozenset(), [])


async def test_the_mute_of_a_call_ends_with_it_and_a_cameras_does_not(bench: Bench) -> None:
    async with bench.open() as store:
        desk = Desk(store, bench, ROOM, VOICE)
        await desk.mutes.mute(ROOM, by="wang")
        await desk.mutes.mute(VOICE, by="wang")
        assert await desk.tidied(GONE_S) == {ROOM, VOICE}
        desk.here.discard(VOICE)
        assert await desk.tidied(GONE_S / 2) == {ROOM, VOICE}
        assert await desk.tidied(GONE_S / 2) == {ROOM}
        assert (list(await desk.rows()), desk.told[-1]) == ([ROOM], {VOICE})


async def test_a_restart_brings_no_mute_back_for_a_call_that_ended_with_it(bench: Bench) -> None:
    async with bench.open() as store:
        desk = Desk(store, bench, ROOM, VOICE)
        await desk.mutes.mute(ROOM, by="wang")
        await desk.mutes.mute(VOICE, by="wang")
    async with bench.open() as store:
        desk = Desk(store, bench, ROOM)
        await desk.mutes.load()
        await desk.mutes.settle()
        assert desk.mutes.streams == set(await desk.rows()) == {ROOM}


async def test_who_comes_again_while_his_mute_is_being_forgotten_stays_muted(bench: Bench) -> None:
    async with bench.open() as store:
        desk = Desk(store, bench, VOICE)
        await desk.mutes.mute(VOICE, by="wang")
        desk.here.clear()
        async with store.state.lock:
            settling = asyncio.ensure_future(desk.mutes.settle())
            await asyncio.sleep(0)
            desk.here.add(VOICE)
        await settling
        assert desk.mutes.streams == set(await desk.rows()) == {VOICE}


async def test_beside_the_rest_it_forgets_by_itself(bench: Bench) -> None:
    async with bench.open() as store:
        desk = Desk(store, bench, VOICE)
        running = asyncio.ensure_future(desk.mutes.run())
        await desk.mutes.mute(VOICE, by="wang")
        desk.here.clear()
        async with asyncio.timeout(30):
            while await desk.rows():
                await desk.clock.advance(1.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not desk.mutes.streams
