"""Stills: the newest key frame, decoded on request."""

import asyncio
import io

import av
import pytest

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.ports.media import MediaEngine
from protocols.errors import NotFoundError
from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH
from tests.support.peers import HEIGHT, WIDTH, publisher, read_mark
from tests.support.posts import whip

pytestmark = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path

ROOM = "320623/room"


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1", "H265"])
@pytest.mark.usefixtures("all_codecs")
async def test_a_still_shows_what_the_camera_sees(engine: MediaEngine, codec: str) -> None:
    async with publisher(whip(engine, ROOM), "320623", codec):
        still = await engine.still(ROOM, timeout_s=10)
        assert (still.stream, still.width, still.height) == (ROOM, WIDTH, HEIGHT)
        assert len(still.thumb) == THUMB_WIDTH * THUMB_HEIGHT
        assert 20 < still.mean < 200
        assert still.deviation > 6
        assert 0 <= still.frame_age_ms < 10_000
        picture = next(av.open(io.BytesIO(still.jpeg)).decode(video=0))
        mark = read_mark(picture)
        assert mark is not None
        assert mark.code == "320623"

        asked_at = moment.now()
        newer = await engine.still(ROOM, newer_than=asked_at, timeout_s=10)
        assert newer.arrived_at > asked_at


async def test_twenty_ask_and_one_key_frame_is_decoded_once(engine: EmbeddedMediaEngine) -> None:
    async with publisher(whip(engine, ROOM), "320623", key_frame_s=60):
        stills = await asyncio.gather(*(engine.still(ROOM, timeout_s=10) for _ in range(20)))
        assert len({still.jpeg for still in stills}) == 1
        assert engine._pictures.decoded == 1
        again = await engine.still(ROOM)
        assert again.arrived_at == stills[0].arrived_at
        assert again.frame_age_ms >= stills[0].frame_age_ms, "its age is told as it is now"
        small = await engine.still(ROOM, width=160)
        picture = next(av.open(io.BytesIO(small.jpeg)).decode(video=0))
        assert (picture.width, picture.height) == (160, 90)
        assert (small.width, small.height) == (WIDTH, HEIGHT)
        assert engine._pictures.decoded == 2


async def test_no_source_no_still(engine: MediaEngine) -> None:
    with pytest.raises(NotFoundError):
        await engine.still(ROOM, timeout_s=0.1)


async def test_an_old_key_frame_is_not_passed_off_as_new(engine: MediaEngine) -> None:
    async with publisher(whip(engine, ROOM), "320623", key_frame_s=60):
        first = await engine.still(ROOM, timeout_s=10)
        with pytest.raises(NotFoundError):
            await engine.still(ROOM, newer_than=first.arrived_at, timeout_s=0.5)


async def test_when_the_source_goes_its_picture_goes(engine: MediaEngine) -> None:
    async with publisher(whip(engine, ROOM), "320623"):
        await engine.still(ROOM, timeout_s=10)
    with pytest.raises(NotFoundError):
        await engine.still(ROOM, newer_than=moment.now(), timeout_s=0.3)
