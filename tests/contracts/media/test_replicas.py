"""The engines of two replicas as one: real workers, real HTTP between them, real peers."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import Response

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_spread.door import Door
from gateway.adapters.media_spread.engine import SpreadMediaEngine
from gateway.adapters.media_spread.wire import PREFIX
from gateway.ports.media import (
    EndReason,
    EngineRestarted,
    Layer,
    SessionEnded,
    Showing,
    StreamChanged,
    StreamState,
    StreamStats,
)
from gateway.ports.media_spread import Place
from gateway.web.server import HttpServer, Listen
from protocols.errors import NotFoundError
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip
from tests.support.walls import wall

SECRET = "known to the replicas alone"
STREAMS = [f"3206{number:02}/room" for number in range(12, 24)]


class Other:
    """A replica that does not lead: an engine behind its door."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Other":
        self.engine = await self._stack.enter_async_context(EmbeddedMediaEngine(state_dir=self.folder))
        self.door = Door(Response(status_code=404), self.engine, me="b", secret=SECRET, leads=lambda: False)
        await self._stack.enter_async_context(self.door)
        await self.listen()
        return self

    async def listen(self) -> None:
        """Open the door, at another port than before."""
        self.http = await self._stack.enter_async_context(HttpServer(self.door, Listen("127.0.0.1", 0), "other"))

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def place(self) -> Place:
        return Place("b", "b", f"http://127.0.0.1:{self.http.port}")


class Two:
    """The replica that leads, `engine`, and the `other` one; `living` may be changed."""

    def __init__(self, engine: SpreadMediaEngine, other: Other, me: Place) -> None:
        self.engine, self.other, self.me = engine, other, me
        self.living = [me, other.place]

    def at(self, place: str) -> str:
        """Return a stream that lives at a or at b."""
        return next(stream for stream in STREAMS if self.engine.home(stream).name == place)

    async def both(self) -> None:
        await until(lambda: len(self.engine.streams()) == 2)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(Other(tmp_path / "b"))
        near = EmbeddedMediaEngine(state_dir=tmp_path / "a")
        engine = SpreadMediaEngine(near, secret=SECRET, trust=ssl.create_default_context)
        await stack.enter_async_context(engine)
        door = Door(Response(status_code=404), near, me="a", secret=SECRET, leads=lambda: True)
        await stack.enter_async_context(door)
        http = await stack.enter_async_context(HttpServer(door, Listen("127.0.0.1", 0), "leader"))
        made = Two(engine, other, Place("a", "a", f"http://127.0.0.1:{http.port}"))
        engine.lead(made.me, lambda: made.living)
        await made.both()
        yield made


async def test_a_stream_lives_where_its_hash_says_and_is_viewed_there(two: Two) -> None:
    for name, engine in (("a", two.engine.near), ("b", two.other.engine)):
        stream = two.at(name)
        code = stream.partition("/")[0]
        async with publisher(whip(two.engine, stream), code), viewer(whep(two.engine, stream)) as seen:
            await seen.sees(code, 5)
            assert sum((await engine.stats()).sessions.values()) == 2
            assert two.engine.streams()[name] == 1
            assert (await two.engine.still(stream)).deviation > 5
            found = {one.stream: one for one in (await two.engine.stats()).streams}
            assert (found[stream].viewers, found[stream].state) == (1, StreamState.LIVE)
    assert two.engine.crossings == 0


async def test_a_replica_started_anew_is_not_taken_for_the_one_that_was_at_its_address(
    two: Two, caplog: pytest.LogCaptureFixture
) -> None:
    """Its entry outlives a replica by some seconds: led as both in turn, the new one lost its sessions each time."""
    stream = two.at("b")
    code = stream.partition("/")[0]
    async with publisher(whip(two.engine, stream), code), viewer(whep(two.engine, stream)) as seen:
        await seen.sees(code, 3)
        caplog.set_level(logging.DEBUG, "gateway.adapters.media_spread.engine")
        two.living.append(replace(two.other.place, id="the one before"))
        refused = f"{two.other.place.url} answered 404"
        await until(lambda: sum(getattr(one, "error", "") == refused for one in caplog.records) >= 3)
        await seen.sees(code, 5)
        assert sum((await two.other.engine.stats()).sessions.values()) == 2
        assert "replica takes no streams any more" not in caplog.messages


async def test_a_wall_shows_streams_of_both_each_brought_once_and_no_layer_unwatched(two: Two) -> None:
    here, there = two.at("a"), two.at("b")
    codes = [stream.partition("/")[0] for stream in (here, there)]
    async with (
        publisher(whip(two.engine, here), codes[0], thumb=True),
        publisher(whip(two.engine, there), codes[1], thumb=True),
        wall(two.engine, 2) as hung,
    ):
        for number, stream in enumerate((here, there)):
            await hung.show(number, stream, Layer.THUMB)
        for number, code in enumerate(codes):
            await hung.panes[number].sees(code, 3)
            await hung.says(number, Showing.THUMB)
        assert two.engine.crossings == 1
        figures = await two.engine.stats()
        assert sum(one.relays for one in figures.streams) == 0
        assert figures.sessions.get("relay", 0) == 0
        assert {layer for one in figures.streams for layer in one.layers} == {Layer.MAIN, Layer.THUMB}
        # Only the small picture crosses: nobody there shows the other one.
        async with asyncio.timeout(20):
            while sorted([len(one.layers) for one in await copies(two)]) != [1, 2, 2]:
                await asyncio.sleep(0.1)
        assert max(len(one.layers) for one in (await two.engine.stats()).streams) == 2


async def copies(two: Two) -> list[StreamStats]:
    return [one for engine in (two.engine.near, two.other.engine) for one in (await engine.stats()).streams]


async def test_a_recording_of_a_stream_elsewhere_is_written_here(two: Two, tmp_path: Path) -> None:
    stream = two.at("b")
    async with publisher(whip(two.engine, stream), stream.partition("/")[0]):
        ended = await two.engine.clip(stream, tmp_path / "clip.mp4", 2.0)
        assert ended.files
        assert (tmp_path / ended.files[0]).stat().st_size > 1000


async def test_a_replica_that_is_gone_loses_its_streams_and_they_are_placed_here(two: Two) -> None:
    stream = two.at("b")
    code = stream.partition("/")[0]
    events = two.engine.events()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(publisher(whip(two.engine, stream), code))
        seen = await stack.enter_async_context(viewer(whep(two.engine, stream)))
        await seen.sees(code)
        two.living = [two.me]
        await two.other.http.__aexit__(None, None, None)
        told = []
        async with asyncio.timeout(30):
            while not any(isinstance(event, EngineRestarted) for event in told):
                told.append(await anext(events))
        ended = [event for event in told if isinstance(event, SessionEnded)]
        assert [event.reason for event in ended] == [EndReason.WORKER_LOST] * 2
        assert told[-1].sources == (stream,)
        assert StreamChanged(stream, StreamState.ABSENT) in told
        assert two.engine.moved == 1
        assert two.engine.home(stream).name == "a"
        # Nobody goes on at the other one: who published there notices.
        await until(lambda: seen.connection.connectionState in {"closed", "failed"})
        with pytest.raises(NotFoundError):
            await two.engine.end(ended[0].session_id)
        await stack.enter_async_context(publisher(whip(two.engine, stream), code))
        again = await stack.enter_async_context(viewer(whep(two.engine, stream)))
        await again.sees(code, 3)


async def test_a_replica_that_returns_gets_its_streams_back_once_nobody_uses_them(two: Two) -> None:
    stream = two.at("b")
    code = stream.partition("/")[0]
    two.living = [two.me]
    await two.other.http.__aexit__(None, None, None)
    await until(lambda: len(two.engine.streams()) == 1)
    async with publisher(whip(two.engine, stream), code), viewer(whep(two.engine, stream)) as seen:
        await seen.sees(code, 3)
        await two.other.listen()
        two.living = [two.me, two.other.place]
        await two.both()
        assert two.engine.home(stream).name == "a", "a viewer would see a gap"
        await seen.sees(code, 10)
    await until(lambda: two.engine.home(stream).name == "b")
    async with publisher(whip(two.engine, stream), code), viewer(whep(two.engine, stream)) as seen:
        await seen.sees(code, 3)
        assert sum((await two.other.engine.stats()).sessions.values()) == 2
        assert two.engine.crossings == 0


async def test_who_does_not_know_the_secret_finds_no_door(two: Two) -> None:
    import httpx

    async with httpx.AsyncClient(base_url=two.other.place.url, trust_env=False) as client:
        for path in ("/line", "/do/stats", "/whip/320612/room"):
            for headers in ({}, {"Authorization": "Bearer guess"}):
                answer = await client.post(PREFIX + path, headers=headers, content=b"{}")
                assert answer.status_code == 404
        # The secret alone gives no command either: one leader is obeyed.
        headers = {"Authorization": f"Bearer {SECRET}", "x-silian-controller": "another"}
        answer = await client.post(f"{PREFIX}/do/stats", headers=headers, content=b"{}")
        assert answer.json()["code"] == "link"
