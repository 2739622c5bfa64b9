"""Several workers behind one engine: streams spread over them, and nobody notices."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.rules.placement import ranking
from gateway.ports.media import EngineRestarted, Layer, LayersWanted, SessionEnded, Showing, StreamState
from tests.support.peers import THUMB, TONE_HZ, Viewer, publisher, until, viewer
from tests.support.posts import whep, whip
from tests.support.walls import wall


@pytest.fixture
async def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedMediaEngine]:
    monkeypatch.setattr("gateway.adapters.media_embedded.bridges.LINGER_S", 0.5)
    made = EmbeddedMediaEngine(state_dir=tmp_path / "engine")
    made.workers, made.legs_per_worker = 2, 2
    async with made:
        yield made


def codes_of(worker: str, count: int = 2) -> list[str]:
    """Centres whose room lives on this worker of two."""
    crew = {"0": 1.0, "1": 1.0}
    found = [str(code) for code in range(320601, 320700) if ranking(f"{code}/room", crew)[0] == worker]
    return found[:count]


def room(code: str) -> str:
    return f"{code}/room"


async def bridges(engine: EmbeddedMediaEngine, count: int) -> None:
    """Wait until so many bridges stand."""
    async with asyncio.timeout(20):
        while (await engine.stats()).bridges != count:
            await asyncio.sleep(0.05)


async def test_a_wall_shows_streams_of_both_workers_over_twenty_switches(two: EmbeddedMediaEngine) -> None:
    near, far = codes_of("0"), codes_of("1")
    codes = [near[0], far[0], near[1], far[1]]
    async with AsyncExitStack() as stack:
        for place, code in enumerate(codes):
            post, codec = whip(two, room(code)), ("H264", "VP8")[place // 2]
            await stack.enter_async_context(publisher(post, code, codec, rate=6, audio=place == 1, key_frame_s=0.5))
        assert two.ports[0] != two.ports[1]
        hung = await stack.enter_async_context(wall(two, 2, sounds=1))
        pane, other = hung.panes
        await hung.show(1, room(codes[1]))
        await hung.show(0, room(codes[1]), kind="audio", priority=0)
        await hung.show(0, room(codes[0]))
        await pane.sees(codes[0])
        await hung.sounds[0].hears(TONE_HZ)
        for number in range(1, 21):
            old, new = codes[(number - 1) % 4], codes[number % 4]
            begin = len(pane.history)
            await hung.show(0, room(new))
            await pane.sees(new)
            shown = [code for code, _ in pane.history[begin:]]
            assert set(shown[: shown.index(new)]) <= {old}
            assert set(shown[shown.index(new) :]) == {new}
        await other.sees(codes[1])
        assert set(other.marks) == {codes[1]}, "the slot beside it is left alone"
        assert (pane.unread, other.unread) == (0, 0)
        stats = await two.stats()
        assert stats.sessions == {"whip": 4, "wall": 1}, "bridges are no sessions of anybody"
        assert {line.kind for line in stats.lines} == {"whip", "wall"}
        streams = {stream.stream: stream for stream in stats.streams}
        assert sorted(streams) == sorted(room(code) for code in codes), "every stream once"
        assert {stream.state for stream in streams.values()} == {StreamState.LIVE}
        assert (streams[room(codes[1])].viewers, streams[room(codes[1])].relays) == (1, 0)
        assert sum(worker.sessions for worker in stats.workers) == 5
        await two.end(hung.answer.session_id)
        await bridges(two, 0)


async def test_viewers_beyond_the_limit_cost_one_bridge(two: EmbeddedMediaEngine) -> None:
    (code,) = codes_of("0", 1)
    events = two.events()
    async with publisher(whip(two, room(code)), code, rate=6, thumb=True, key_frame_s=0.5), AsyncExitStack() as stack:
        seen: list[Viewer] = [await stack.enter_async_context(viewer(whep(two, room(code)))) for _ in range(4)]
        await asyncio.gather(*(one.sees(code, 2) for one in seen))
        await bridges(two, 1)
        await asyncio.sleep(0.25)  # the engine's figures are kept for 200 ms
        stats = await two.stats()
        (stream,) = stats.streams
        assert (stream.viewers, stream.relays, stats.sessions) == (4, 0, {"whip": 1, "whep": 4})
        assert [worker.sessions for worker in stats.workers] == [3, 2]
        assert [worker.bridges for worker in stats.workers] == [1, 0]
        await stack.aclose()
        await bridges(two, 0)
    wanted = []
    async with asyncio.timeout(10):
        async for event in events:
            if isinstance(event, LayersWanted):
                wanted.append(event.layers)
                if not event.layers:
                    break
    assert wanted == [{Layer.MAIN}, frozenset()]


async def test_a_layer_crosses_only_while_it_is_watched_there(two: EmbeddedMediaEngine) -> None:
    """And where the camera has no thumb, its main picture stands for it."""
    layered, plain = codes_of("1")
    events = two.events()
    told: dict[str, frozenset[Layer]] = {}

    async def listen() -> None:
        async for event in events:
            if isinstance(event, LayersWanted):
                told[event.stream] = event.layers

    async with AsyncExitStack() as stack:
        listening = asyncio.ensure_future(listen())
        stack.callback(listening.cancel)
        for code in (layered, plain):
            post = whip(two, room(code))
            await stack.enter_async_context(publisher(post, code, rate=6, thumb=code == layered, key_frame_s=0.5))
        hung = await stack.enter_async_context(wall(two, 2))
        await hung.show(0, room(layered), Layer.THUMB, 3)
        await hung.show(1, room(plain), Layer.THUMB, 3)
        await hung.says(0, Showing.THUMB)
        await hung.says(1, Showing.MAIN)
        await asyncio.gather(hung.panes[0].sees(layered, 2), hung.panes[1].sees(plain, 2))
        assert {width for _, width in hung.panes[0].history} == {THUMB[0]}
        await until(lambda: told == {room(layered): {Layer.THUMB}, room(plain): {Layer.MAIN}})
        await hung.show(0, room(layered), Layer.MAIN)
        await hung.says(0, Showing.MAIN)
        await until(lambda: told[room(layered)] == {Layer.MAIN})
        await hung.show(0, None)
        await until(lambda: not told[room(layered)])


@pytest.mark.parametrize("dies", ["home", "far"])
async def test_a_killed_worker_takes_its_own_sessions_alone(two: EmbeddedMediaEngine, dies: str) -> None:
    (here,), (there,) = codes_of("0", 1), codes_of("1", 1)
    async with AsyncExitStack() as stack:
        for code in (here, there):
            await stack.enter_async_context(publisher(whip(two, room(code)), code, rate=6, key_frame_s=0.5))
        unhurt = await stack.enter_async_context(viewer(whep(two, room(there))))
        first = await stack.enter_async_context(viewer(whep(two, room(here))))
        hung = await stack.enter_async_context(wall(two, 2))
        worker = two.worker_of(hung.answer.session_id)
        assert worker is not None
        await hung.show(0, room(here))
        await hung.show(1, room(there))
        await asyncio.gather(hung.panes[0].sees(here), hung.panes[1].sees(there), first.sees(here), unhurt.sees(there))
        events = two.events()
        pids = two.worker_pids
        dead = 0 if dies == "home" else 1
        assert pids[dead] is not None
        os.kill(pids[dead], signal.SIGKILL)
        living = (unhurt, there) if dead == 0 else (first, here)
        begun = len(living[0].history)
        ended = []
        async with asyncio.timeout(20):
            async for event in events:
                if isinstance(event, SessionEnded):
                    ended.append(event.session_id)
                if isinstance(event, EngineRestarted):
                    break
        assert event.sources == (room(here if dead == 0 else there),)
        assert set(event.sessions) == set(ended)
        assert (hung.answer.session_id in ended) == (worker == str(dead))
        again = here if dead == 0 else there
        await stack.enter_async_context(publisher(whip(two, room(again)), again, rate=6, key_frame_s=0.5))
        if worker != str(dead):
            await hung.panes[dead].sees(again, 2)
            await hung.says(dead, Showing.MAIN)
        came = await stack.enter_async_context(viewer(whep(two, room(again))))
        await came.sees(again, 2)
        await living[0].sees(living[1], 2)
        assert {code for code, _ in living[0].history[begun:]} == {living[1]}
        await until(lambda: None not in two.worker_pids)
        assert two.worker_pids[1 - dead] == pids[1 - dead]
        stats = await two.stats()
        assert stats.worker_restarts == 1
