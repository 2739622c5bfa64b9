"""Key-frame requests reach a source that answers them, over relays too, and at most two of them a second."""

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.peers import publisher, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"


async def test_a_still_that_must_be_new_makes_the_source_send_a_key_frame(engine: EmbeddedMediaEngine) -> None:
    async with publisher(whip(engine, ROOM), raw=True):
        await engine.still(ROOM, timeout_s=10)
        asked_at = moment.now()
        still = await engine.still(ROOM, newer_than=asked_at, timeout_s=10)
        assert still.arrived_at > asked_at


async def test_the_wish_passes_over_a_relay(engine: EmbeddedMediaEngine, tmp_path) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "city") as city,
        EngineFront(city) as front,
        publisher(whip(engine, ROOM), raw=True),
        viewer(whep(city, ROOM)) as seen,
    ):
        await engine.relay(ROOM, front.whip(ROOM), TOKEN)
        await seen.sees("320623", 3)
        asked_at = moment.now()
        still = await city.still(ROOM, newer_than=asked_at, timeout_s=10)
        assert still.arrived_at > asked_at


async def test_many_impatient_viewers_are_one_wish(engine: EmbeddedMediaEngine) -> None:
    async with publisher(whip(engine, ROOM), raw=True), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623", 3)
        before = (await engine.stats()).streams[0].key_frames
        began = moment.now()
        for _ in range(20):
            await engine.still(ROOM, newer_than=moment.now(), timeout_s=10)
            if moment.now() - began > 3:
                break
        passed = moment.now() - began
        assert (await engine.stats()).streams[0].key_frames - before <= passed / 0.5 + 2
