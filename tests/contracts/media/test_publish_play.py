"""Publish and play: what a publisher sends is what a viewer decodes."""

import asyncio

import pytest

from gateway.ports.media import (
    EndReason,
    MediaEngine,
    SessionEnded,
    SessionKind,
    StreamChanged,
    StreamState,
)
from protocols.errors import BadIdentityError, BadMediaError, NotFoundError
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"
over_bridges_too = pytest.mark.parametrize("engine", ["compiled", "reference", "pair"], indirect=True)


@over_bridges_too
@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_picture_and_sound_pass_through(engine: MediaEngine, codec: str) -> None:
    async with (
        publisher(whip(engine, ROOM), "320623", codec, audio=True),
        viewer(whep(engine, ROOM), audio=True) as seen,
    ):
        await seen.sees("320623", 5)
        await seen.hears()
        assert set(seen.marks) == {"320623"}
        stats = await engine.stats()
    assert [(s.stream, s.state, s.codec, s.audio) for s in stats.streams] == [
        (ROOM, StreamState.LIVE, codec.lower(), True)
    ]


@over_bridges_too
async def test_a_joiner_starts_at_the_kept_key_frame(engine: MediaEngine) -> None:
    """Key frames are a minute apart: without the kept group there would be no picture."""
    async with publisher(whip(engine, ROOM), key_frame_s=60), viewer(whep(engine, ROOM)) as first:
        await first.sees("320623", 10)
        async with viewer(whep(engine, ROOM)) as late:
            await late.sees("320623", 5)
            await until(lambda: late.age_ms() < 1000)


@over_bridges_too
async def test_a_viewer_may_come_before_the_source(engine: MediaEngine) -> None:
    async with viewer(whep(engine, ROOM)) as seen:
        async with publisher(whip(engine, ROOM), codec="VP8"):
            await seen.sees("320623", 3)
        async with publisher(whip(engine, ROOM), code="320612", codec="H264"):
            await seen.sees("320612", 3)


@over_bridges_too
async def test_a_new_publisher_replaces_the_old_one(engine: MediaEngine) -> None:
    events = engine.events()
    async with publisher(whip(engine, ROOM), "320623"), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623", 3)
        async with publisher(whip(engine, ROOM), "320612"):
            await seen.sees("320612", 3)
            async with asyncio.timeout(10):
                async for event in events:
                    if isinstance(event, SessionEnded):
                        break
            assert (event.kind, event.reason) == (SessionKind.WHIP, EndReason.REPLACED)
            assert (await engine.stats()).sessions == {"whip": 1, "whep": 1}


@over_bridges_too
async def test_events_tell_how_a_stream_comes_and_goes(engine: MediaEngine) -> None:
    events = engine.events()
    told = []
    async with publisher(whip(engine, ROOM)), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623")
    async with asyncio.timeout(10):
        async for event in events:
            if isinstance(event, StreamChanged):
                told.append((event.state, event.first_frame_s))
                if event.state is StreamState.ABSENT:
                    break
    states = list(dict.fromkeys(state for state, _ in told))
    assert states == [StreamState.STARTING, StreamState.LIVE, StreamState.ABSENT]
    (first,) = [seconds for _, seconds in told if seconds is not None]
    assert 0 < first < 10


async def test_end_closes_the_connection_at_once(engine: MediaEngine) -> None:
    made = []

    async def post(offer: str) -> str:
        answer = await engine.play(ROOM, offer)
        made.append(answer.session_id)
        return answer.sdp

    async with publisher(whip(engine, ROOM)), viewer(post) as seen:
        await seen.sees("320623")
        await engine.end(made[0])
        await until(lambda: seen.connection.connectionState == "closed")
        with pytest.raises(NotFoundError):
            await engine.end(made[0])


@pytest.mark.parametrize("offer", ["", "v=0", "rubbish", "v=0\r\nm=video x", "v=0\r\nm=audio 9 UDP 0\r\na=fmtp:1 x"])
async def test_a_bad_offer_is_refused(engine: MediaEngine, offer: str) -> None:
    with pytest.raises(BadMediaError):
        await engine.publish(ROOM, offer)
    with pytest.raises(BadMediaError):
        await engine.play(ROOM, offer)


async def test_a_bad_stream_name_is_refused(engine: MediaEngine) -> None:
    with pytest.raises(BadIdentityError):
        await engine.play("../etc", "v=0")
