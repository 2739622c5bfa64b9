"""Relay and pull: one stream over several engines, every hop by WHIP or WHEP over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.ports.media import EndReason, Layer, MediaEngine, SessionEnded
from protocols.errors import LinkError, NotFoundError, RefusedError
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip

pytestmark = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path

ROOM = "320623/room"


@pytest.fixture
async def chain(engine: EmbeddedMediaEngine, tmp_path: Path) -> AsyncIterator[list[EngineFront]]:
    """Three engines, as county, city and province; each with its HTTP front."""
    async with AsyncExitStack() as stack:
        fronts = [await stack.enter_async_context(EngineFront(engine))]
        for name in ("city", "province"):
            made = EmbeddedMediaEngine(state_dir=tmp_path / name, backend=engine.backend)
            await stack.enter_async_context(made)
            fronts.append(await stack.enter_async_context(EngineFront(made)))
        yield fronts


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_three_engines_in_chain(chain: list[EngineFront], codec: str) -> None:
    county, city, province = (front.engine for front in chain)
    async with publisher(whip(county, ROOM), "320623", codec, audio=True):
        first, second = await asyncio.gather(
            county.relay(ROOM, chain[1].whip(ROOM), TOKEN), city.relay(ROOM, chain[2].whip(ROOM), TOKEN)
        )
        async with viewer(whep(province, ROOM), audio=True) as seen:
            await seen.sees("320623", 10)
            await seen.hears()
            await until(lambda: seen.age_ms() < 1000)
            stats = await county.stats()
            loud = [(await tier.stats()).streams[0].audio_level for tier in (county, city, province)]
            assert loud[0] is not None
            assert loud == pytest.approx([loud[0]] * 3, rel=0.3), "every tier knows who speaks"
            assert loud[0] > 0.1
        assert [(s.viewers, s.relays) for s in stats.streams] == [(0, 1)], "one stream crosses the link once"
        await county.end(first)
        await city.end(second)
    await until(lambda: len(chain[1].deleted) == 1 and len(chain[2].deleted) == 1)


async def test_a_relay_goes_on_with_a_new_source(chain: list[EngineFront]) -> None:
    county, city = chain[0].engine, chain[1].engine
    async with viewer(whep(city, ROOM)) as seen:
        async with publisher(whip(county, ROOM), "320623", "H264"):
            await county.relay(ROOM, chain[1].whip(ROOM), TOKEN)
            await seen.sees("320623", 5)
        async with publisher(whip(county, ROOM), "320612", "VP8"):
            await seen.sees("320612", 5)


async def test_a_relay_that_carries_nothing_stays_connected_without_a_packet(chain: list[EngineFront]) -> None:
    county, city = chain[0].engine, chain[1].engine

    async def arrived() -> int:
        return sum(stream.packets_in for stream in (await city.stats()).streams)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(publisher(whip(county, ROOM), "320623", audio=True))
        seen = await stack.enter_async_context(viewer(whep(city, ROOM)))
        relay = await county.relay(ROOM, chain[1].whip(ROOM), TOKEN)
        await seen.sees("320623", 3)
        await county.carry(relay, frozenset())
        near = await stack.enter_async_context(viewer(whep(county, ROOM)))
        await near.sees("320623", 5)
        before = await arrived()
        await near.sees("320623", 10)
        assert await arrived() == before
        await county.carry(relay, frozenset(Layer))
        await seen.sees("320623", 5)
        with pytest.raises(NotFoundError):
            await county.carry("nobody", frozenset())


async def test_the_main_picture_goes_where_a_thumb_is_asked_for_and_there_is_none(chain: list[EngineFront]) -> None:
    county, city, province = (front.engine for front in chain[:3])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(publisher(whip(county, ROOM)))
        seen = await stack.enter_async_context(viewer(whep(province, ROOM)))
        for below, above in ((county, chain[1]), (city, chain[2])):
            relay = await below.relay(ROOM, above.whip(ROOM), TOKEN)
            await below.carry(relay, frozenset({Layer.THUMB}))
        await seen.sees("320623", 5)


async def test_pull_fetches_a_stream_from_above(chain: list[EngineFront]) -> None:
    county, city = chain[0].engine, chain[1].engine
    async with publisher(whip(city, "320600/call-1"), "320600", audio=True):
        await county.pull("320600/call-1", chain[1].whep("320600/call-1"), TOKEN)
        async with viewer(whep(county, "320600/call-1"), audio=True) as seen:
            await seen.sees("320600", 5)
            await seen.hears()


async def test_a_wrong_token_is_refused(chain: list[EngineFront]) -> None:
    with pytest.raises(RefusedError) as caught:
        await chain[0].engine.relay(ROOM, chain[1].whip(ROOM), "wrong")
    assert caught.value.reason == "not_authenticated"
    with pytest.raises(RefusedError):
        await chain[0].engine.pull(ROOM, chain[1].whep(ROOM), "wrong")
    assert (await chain[0].engine.stats()).sessions == {}


async def test_nobody_there_is_a_link_error(engine: MediaEngine) -> None:
    with pytest.raises(LinkError):
        await engine.relay(ROOM, "http://127.0.0.1:9/whip/320623/room", TOKEN)


async def test_a_relay_that_the_far_end_closes_is_told(chain: list[EngineFront]) -> None:
    county, city = chain[0].engine, chain[1].engine
    events = county.events()
    session = await county.relay(ROOM, chain[1].whip(ROOM), TOKEN)
    far = next(iter(city._sessions))
    await city.end(far)
    async with asyncio.timeout(10):
        async for event in events:
            if isinstance(event, SessionEnded):
                break
    assert (event.session_id, event.reason) == (session, EndReason.CLOSED)


async def test_cancelling_a_relay_leaves_nothing_here(chain: list[EngineFront]) -> None:
    county = chain[0].engine
    for wait in (0.0, 0.005, 0.02, 0.05):
        task = asyncio.ensure_future(county.relay(ROOM, chain[1].whip(ROOM), TOKEN))
        await asyncio.sleep(wait)
        task.cancel()
        (came,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(came, str):
            await county.end(came)  # it was quicker than we
    async with asyncio.timeout(20):
        while (await county.stats()).sessions:
            await asyncio.sleep(0.05)


async def test_relays_leave_no_socket_behind(chain: list[EngineFront]) -> None:
    county = chain[0].engine

    def sockets() -> int:
        return len(list(Path(f"/proc/{county.worker_pid}/fd").iterdir()))

    before = sockets()
    for _ in range(5):
        await county.end(await county.relay(ROOM, chain[1].whip(ROOM), TOKEN))
        with pytest.raises(RefusedError):
            await county.relay(ROOM, chain[1].whip(ROOM), "wrong")
    await until(lambda: sockets() == before)
