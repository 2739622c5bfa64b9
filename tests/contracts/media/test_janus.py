"""The engine with Janus for publishers: the same suite for what it declares, its deaths, and what it refuses.

The outer test runs the others in a network namespace of their own, for Janus takes no part in loopback media.
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_janus.connection import JanusPlace, free_port
from gateway.adapters.media_janus.engine import JanusMediaEngine
from gateway.adapters.media_janus.publication import Publication
from gateway.adapters.media_janus.server import JanusSetup, janus_server
from gateway.ports.media import (
    Capability,
    EndReason,
    EngineRestarted,
    Layer,
    MediaEngine,
    SessionEnded,
    SessionKind,
    Slot,
    StreamState,
)
from protocols.errors import BadMediaError, LinkError, NeedsError, NotFoundError, WrongMomentError
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.janus_stage import ADDRESS, inside, janus_engine, missing, namespaced
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"
HERE = "tests/contracts/media"
SHARED = [
    f"{HERE}/test_publish_play.py",
    f"{HERE}/test_still.py::test_a_still_shows_what_the_camera_sees",
    f"{HERE}/test_still.py::test_no_source_no_still",
    f"{HERE}/test_key_frames.py::test_a_still_that_must_be_new_makes_the_source_send_a_key_frame",
    f"{HERE}/test_key_frames.py::test_many_impatient_viewers_are_one_wish",
    f"{HERE}/test_janus.py",
    *("-k", "not reference and not pair"),
]
within = pytest.mark.skipif(not inside(), reason="runs in the namespace that the outer test makes")


@pytest.mark.external
@pytest.mark.timeout(330)  # a whole suite: some 45 s on a machine of its own
@pytest.mark.skipif(inside(), reason="this is the namespace")
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_suite_of_what_it_declares_in_a_namespace() -> None:
    done = namespaced(SHARED)
    if "unshare failed" in done.stderr:
        pytest.skip("no network namespaces here")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" in done.stdout  # the outer test alone
    assert "failed" not in done.stdout


@within
async def test_janus_is_killed_and_the_picture_comes_back(engine: JanusMediaEngine) -> None:
    """Viewers stay connected; the publisher is asked again and its new offer is all that is needed."""
    events = engine.events()
    async with viewer(whep(engine, ROOM)) as seen:
        async with publisher(whip(engine, ROOM), "320623"):
            await seen.sees("320623", 3)
            os.kill(engine.connection.standing.pid, signal.SIGKILL)
            told = {type(event): event async for event in until_told(events)}
        assert told[EngineRestarted].streams == (ROOM,)
        assert (told[SessionEnded].kind, told[SessionEnded].reason) == (SessionKind.WHIP, EndReason.WORKER_LOST)
        await until(lambda: back(engine))
        async with publisher(whip(engine, ROOM), "320612"):
            await seen.sees("320612", 3)
            stats = await engine.stats()
    assert stats.worker_restarts == 1
    assert stats.sessions == {"whip": 1, "whep": 1}
    assert stats.streams[0].state is StreamState.LIVE


async def until_told(events):
    """Yield events until a restart and the end of a session were told."""
    missed = {EngineRestarted, SessionEnded}
    async for event in events:
        yield event
        missed.discard(type(event))
        if not missed:
            return


def back(engine: JanusMediaEngine) -> bool:
    return engine.connection._standing is not None


@within
async def test_its_worker_is_killed_and_the_picture_comes_back(engine: JanusMediaEngine) -> None:
    events = engine.events()
    async with publisher(whip(engine, ROOM), "320623"):
        await engine.still(ROOM, timeout_s=10)
        os.kill(engine.worker.worker_pid, signal.SIGKILL)
        told = {type(event): event async for event in until_told(events)}
    assert told[EngineRestarted].streams == (ROOM,)
    await until(lambda: engine.worker.worker_pid is not None)
    async with publisher(whip(engine, ROOM), "320612"), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320612", 3)


@within
async def test_a_stream_goes_on_to_another_gateway(engine: JanusMediaEngine, tmp_path: Path) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "city", advertise=(ADDRESS,), host=ADDRESS) as city,
        EngineFront(city) as front,
        publisher(whip(engine, ROOM), "320623", audio=True),
        viewer(whep(city, ROOM), audio=True) as seen,
    ):
        relay = await engine.relay(ROOM, front.whip(ROOM), TOKEN)
        await seen.sees("320623", 3)
        await seen.hears()
        await engine.end(relay)


@within
async def test_what_needs_the_embedded_engine_says_so(engine: MediaEngine, tmp_path: Path) -> None:
    assert not {Capability.WALL, Capability.LAYERS, Capability.RECORD} & engine.capabilities
    for refused in (
        engine.wall("v=0"),
        engine.assign("any", [Slot("video", 0, ROOM)]),
        engine.record(ROOM, tmp_path / "film"),
        engine.stop_recording("any"),
        engine.clip(ROOM, tmp_path / "film", 1.0, layer=Layer.MAIN),
    ):
        with pytest.raises(NeedsError, match="media_embedded"):
            await refused


@within
async def test_two_pictures_are_offered_and_one_is_taken(engine: MediaEngine) -> None:
    async with publisher(whip(engine, ROOM), "320623", thumb=True), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623", 5)
        assert {width for _, width in seen.history} == {480}
        (stream,) = (await engine.stats()).streams
        assert stream.layers == (Layer.MAIN,)


@within
async def test_a_publisher_trickles_and_is_told_to_begin_anew(engine: JanusMediaEngine) -> None:
    made = []

    async def post(offer: str) -> str:
        made.append(await engine.publish(ROOM, offer))
        return made[0].sdp

    async with publisher(post):
        (answer,) = made
        line = f"a=mid:0\r\na=candidate:1 1 udp 2122260223 {ADDRESS} 40000 typ host\r\na=end-of-candidates\r\n"
        assert (await engine.trickle(answer.session_id, line, answer.etag)).sdp_fragment is None
        with pytest.raises(WrongMomentError):
            await engine.trickle(answer.session_id, line, "another")
        with pytest.raises(BadMediaError, match="publish again"):
            await engine.trickle(answer.session_id, "a=ice-ufrag:abcd\r\na=ice-pwd:" + "x" * 24 + "\r\n", "*")
        await engine.end(answer.session_id)
        with pytest.raises(NotFoundError):
            await engine.trickle(answer.session_id, line, answer.etag)


@within
async def test_a_publisher_that_goes_while_it_is_handed_over_leaves_no_session(
    engine: JanusMediaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end comes while the worker is about to take it, which happens when a caller hangs up at once."""
    made, agree, close = [], Publication._agree, Publication.close
    agreeing, go = asyncio.Event(), asyncio.Event()

    async def late(self: Publication, port: int) -> object:
        agreeing.set()
        await go.wait()
        return await agree(self, port)

    async def slow(self: Publication) -> None:
        go.set()
        with contextlib.suppress(AssertionError):
            await until(lambda: engine.worker._sessions, 2)
        await close(self)

    async def post(offer: str) -> str:
        made.append(await engine.publish(ROOM, offer))
        return made[0].sdp

    monkeypatch.setattr(Publication, "_agree", late)
    monkeypatch.setattr(Publication, "close", slow)
    async with publisher(post):
        await agreeing.wait()
        await engine.end(made[0].session_id)
        assert not engine.worker._sessions
        with pytest.raises(NotFoundError):
            await engine.end(made[0].session_id)


@within
async def test_a_janus_that_runs_elsewhere_is_met_by_its_address(tmp_path: Path) -> None:
    """While it is away, a publisher is refused with a sentence that says why."""
    setup = JanusSetup(tmp_path / "elsewhere", free_port(), ADDRESS)
    async with janus_server(setup) as server:
        place = JanusPlace(tmp_path / "janus", server.client.url, server.client._secret)
        worker = EmbeddedMediaEngine(state_dir=tmp_path / "engine", advertise=(ADDRESS,), host=ADDRESS)
        async with (
            JanusMediaEngine(worker, place) as engine,
            publisher(whip(engine, ROOM)),
            viewer(whep(engine, ROOM)) as seen,
        ):
            await seen.sees("320623", 3)
            os.kill(server.pid, signal.SIGKILL)
            await until(lambda: not back(engine))
            with pytest.raises(LinkError, match="away"):
                await publisher(whip(engine, ROOM)).__aenter__()


@within
@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_chain_of_three_goes_through_janus_at_every_gateway(
    engine: JanusMediaEngine, tmp_path: Path, codec: str
) -> None:
    """Three Januses, a relay by WHIP between each two: what comes out at the end is what the county sent."""
    relays = []
    async with (
        janus_engine(tmp_path / "city") as city,
        janus_engine(tmp_path / "province") as province,
        EngineFront(city) as at_city,
        EngineFront(province) as at_province,
        publisher(whip(engine, ROOM), "320623", codec, audio=True),
        viewer(whep(province, ROOM), audio=True) as seen,
    ):
        for lower in (engine, city):  # so that the relay of each knows what it will carry
            await lower.still(ROOM, timeout_s=20)
            up = await lower.relay(ROOM, (at_city if lower is engine else at_province).whip(ROOM), TOKEN)
            relays.append((lower, up))
        await seen.sees("320623", 10)
        await seen.hears()
        assert (await province.stats()).streams[0].codec == codec.lower()
        for lower, up in relays:
            await lower.end(up)


@within
async def test_a_relay_that_janus_took_for_another_codec_is_ended_so_that_it_is_made_anew(
    engine: JanusMediaEngine, tmp_path: Path
) -> None:
    """Dialled before its source was there it offered H.264 first, and Janus takes one codec: then VP8 came."""
    events = engine.events()
    async with janus_engine(tmp_path / "city") as city, EngineFront(city) as at_city:
        first = await engine.relay(ROOM, at_city.whip(ROOM), TOKEN)
        async with publisher(whip(engine, ROOM), "320623", "VP8"), viewer(whep(city, ROOM)) as seen:
            async with asyncio.timeout(30):
                async for event in events:
                    if isinstance(event, SessionEnded) and event.session_id == first:
                        break
            assert event.reason is EndReason.REFUSED
            await engine.relay(ROOM, at_city.whip(ROOM), TOKEN)
            await seen.sees("320623", 5)
