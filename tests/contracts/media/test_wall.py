"""Walls: one connection with many slots; what stands in each is read from the picture itself."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.rules import rtcp
from gateway.ports.media import Layer, SessionKind, Showing, Slot
from protocols.errors import BadIdentityError, BadMediaError, NotFoundError
from tests.support.peers import THUMB, TONE_HZ, Publisher, Viewer, publisher, until, viewer
from tests.support.posts import whep, whip
from tests.support.walls import Wall, wall

over_bridges_too = pytest.mark.parametrize("engine", ["compiled", "reference", "pair"], indirect=True)
UNDECODED = "failed to decode"
CODES = ["320623", "320612", "320685", "320681"]


def room(code: str) -> str:
    return f"{code}/room"


async def cameras(
    stack: AsyncExitStack, engine: EmbeddedMediaEngine, codes: Sequence[str], *codecs: str, rate: int = 8
) -> list[Publisher]:
    """Publish one camera per code, with these codecs by turns."""
    return [
        await stack.enter_async_context(
            publisher(whip(engine, room(code)), code, codecs[place % len(codecs)], rate=rate)
        )
        for place, code in enumerate(codes)
    ]


def shown_since(pane: Viewer, mark: int) -> list[str]:
    return [code for code, _ in pane.history[mark:]]


@pytest.mark.parametrize("slots", [4, 16])
async def test_every_slot_shows_its_own_camera(
    engine: EmbeddedMediaEngine, slots: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with AsyncExitStack() as stack:
        await cameras(stack, engine, CODES, "H264", "VP8", rate=8 if slots == 4 else 4)
        hung = await stack.enter_async_context(wall(engine, slots))
        wanted = [CODES[place % len(CODES)] for place in range(slots)]
        await engine.assign(
            hung.answer.session_id, [Slot("video", place, room(code)) for place, code in enumerate(wanted)]
        )
        await asyncio.gather(*(pane.sees(code, 2) for pane, code in zip(hung.panes, wanted, strict=True)))
        assert [set(pane.marks) for pane in hung.panes] == [{code} for code in wanted]
        for place in range(slots):
            await hung.says(place, Showing.MAIN)
        turned = wanted[1:] + wanted[:1]
        begun = [len(pane.history) for pane in hung.panes]
        await engine.assign(
            hung.answer.session_id, [Slot("video", place, room(code)) for place, code in enumerate(turned)]
        )
        await asyncio.gather(*(pane.sees(code, 2) for pane, code in zip(hung.panes, turned, strict=True)))
        for pane, old, new, begin in zip(hung.panes, wanted, turned, begun, strict=True):
            _one_after_the_other(shown_since(pane, begin), old, new)
            assert pane.unread == 0
    # aiortc gives the last frame before a change of payload type to the decoder of the packet that comes after it
    assert caplog.text.count(UNDECODED) <= slots


def _one_after_the_other(codes: list[str], old: str, new: str) -> None:
    """Check that nothing but the old picture came before the new one, and never again after it."""
    first = codes.index(new)
    assert set(codes[:first]) <= {old}
    assert set(codes[first:]) == {new}


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_thirty_switches_in_a_row(
    engine: EmbeddedMediaEngine, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The new picture is the assigned one, the old one never comes back, and none is torn."""
    caplog.set_level(logging.WARNING)
    async with AsyncExitStack() as stack:
        await cameras(stack, engine, CODES, codec)
        hung = await stack.enter_async_context(wall(engine, 2))
        pane = hung.panes[0]
        await hung.show(1, room(CODES[0]))
        await hung.show(0, room(CODES[0]))
        await pane.sees(CODES[0])
        for number in range(1, 31):
            old, new = CODES[(number - 1) % 4], CODES[number % 4]
            begin = len(pane.history)
            await hung.show(0, room(new))
            await pane.sees(new)
            _one_after_the_other(shown_since(pane, begin), old, new)
        assert pane.unread == 0
        assert set(hung.panes[1].marks) == {CODES[0]}, "the slot beside it is left alone"
    assert UNDECODED not in caplog.text


async def test_an_emptied_slot_costs_no_packet(engine: EmbeddedMediaEngine) -> None:
    async def sent() -> int:
        return sum(stream.packets_out for stream in (await engine.stats()).streams)

    async with AsyncExitStack() as stack:
        (camera,) = await cameras(stack, engine, CODES[:1], "H264")
        hung = await stack.enter_async_context(wall(engine, 2, sounds=1))
        await hung.show(0, room(CODES[0]))
        await hung.panes[0].sees(CODES[0], 2)
        await hung.says(0, Showing.MAIN)
        await hung.show(0, None)
        await hung.says(0, Showing.EMPTY)
        before = await sent()
        assert camera.video is not None
        number = camera.video.number
        await until(lambda: camera.video is not None and camera.video.number > number + 10)
        await asyncio.sleep(0.25)  # the engine's figures are kept for 200 ms
        assert await sent() == before
        await hung.show(0, room(CODES[0]))
        await hung.panes[0].sees(CODES[0], 2)
        assert hung.panes[0].unread == 0


async def test_a_line_tells_what_goes_over_it(engine: EmbeddedMediaEngine) -> None:
    """On every backend: pictures count as sent on the wall's line and as received on the camera's, reports do not."""
    async with AsyncExitStack() as stack:
        await cameras(stack, engine, CODES[:1], "H264")
        hung = await stack.enter_async_context(wall(engine, 1))
        await hung.show(0, room(CODES[0]))
        await hung.panes[0].sees(CODES[0])
        lines = {line.kind: line for line in (await engine.stats()).lines}
        end = time.monotonic() + 20
        while lines[SessionKind.WALL].sent_bps < 10_000 or lines[SessionKind.WHIP].received_bps < 10_000:
            assert time.monotonic() < end, lines
            await asyncio.sleep(0.2)
            lines = {line.kind: line for line in (await engine.stats()).lines}
        assert lines[SessionKind.WALL].received_bps < 10_000
        assert lines[SessionKind.WHIP].sent_bps < 10_000


@over_bridges_too
async def test_layers_change_at_key_frames(engine: EmbeddedMediaEngine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with AsyncExitStack() as stack:
        for place, code in enumerate(CODES[:2]):
            codec = "VP8" if place else "H264"
            await stack.enter_async_context(
                publisher(whip(engine, room(code)), code, codec, rate=6, thumb=True, key_frame_s=0.5)
            )
        hung = await stack.enter_async_context(wall(engine, 2))
        for place, code in enumerate(CODES[:2]):
            await hung.show(place, room(code), Layer.THUMB, 3)
        for place, pane in enumerate(hung.panes):
            await hung.says(place, Showing.THUMB)
            await until(lambda pane=pane: pane.history and pane.history[-1][1] == THUMB[0])
        for layer in (Layer.MAIN, Layer.THUMB, Layer.MAIN, Layer.THUMB, Layer.MAIN):
            for place, code in enumerate(CODES[:2]):
                await hung.show(place, room(code), layer)
            for place, pane in enumerate(hung.panes):
                width = THUMB[0] if layer is Layer.THUMB else 480
                await until(lambda pane=pane, width=width: pane.history[-1][1] == width)
                await hung.says(place, Showing(layer.value))
        for pane, code in zip(hung.panes, CODES, strict=False):
            assert set(pane.marks) == {code}
            assert pane.unread == 0
        both = (await engine.stats()).streams
        assert {stream.layers for stream in both} == {(Layer.MAIN, Layer.THUMB)}
    assert UNDECODED not in caplog.text


@over_bridges_too
async def test_a_slot_outlives_its_source_and_waits_for_one(engine: EmbeddedMediaEngine) -> None:
    async with wall(engine, 1, sounds=1) as hung:
        pane = hung.panes[0]
        await hung.show(0, room("320623"))
        await hung.show(0, room("320623"), kind="audio", priority=0)
        await hung.says(0, Showing.WAITING)
        async with publisher(whip(engine, room("320623")), "320623", audio=True):
            await pane.sees("320623", 2)
            await hung.sounds[0].hears(TONE_HZ)
            await hung.says(0, Showing.SOUND, "audio")
        await hung.says(0, Showing.WAITING)
        async with publisher(whip(engine, room("320623")), "320612", "VP8"):
            await pane.sees("320612", 2)
            await hung.says(0, Showing.MAIN)
        assert pane.unread == 0


async def test_what_a_wall_does_not_have_is_refused(engine: EmbeddedMediaEngine) -> None:
    async with wall(engine, 1) as hung, publisher(whip(engine, room("320623"))):
        with pytest.raises(BadMediaError, match="video/1"):
            await hung.show(1, room("320623"))
        with pytest.raises(BadMediaError):
            await hung.show(0, room("320623"), kind="audio")
        with pytest.raises(BadIdentityError):
            await hung.show(0, "nowhere")
        with pytest.raises(NotFoundError):
            await engine.assign("nobody", [Slot("video", 0, room("320623"))])
        async with viewer(whep(engine, room("320623"))):
            stats = await engine.stats()
        assert stats.sessions == {"wall": 1, "whip": 1, "whep": 1}
        await engine.end(hung.answer.session_id)
        with pytest.raises(NotFoundError):
            await engine.assign(hung.answer.session_id, [])


async def test_a_wall_takes_trickle_and_an_ice_restart(engine: EmbeddedMediaEngine) -> None:
    async with AsyncExitStack() as stack:
        await cameras(stack, engine, CODES[:2], "VP8")
        hung = await stack.enter_async_context(wall(engine, 1))
        await hung.show(0, room(CODES[0]))
        await hung.panes[0].sees(CODES[0])
        session, etag = hung.answer.session_id, hung.answer.etag
        assert (await engine.trickle(session, "a=end-of-candidates\r\n", etag)).sdp_fragment is None
        credentials = "a=ice-ufrag:newufrag\r\na=ice-pwd:newpasswordnewpassword12\r\n"
        restarted = await engine.trickle(session, credentials, "*")
        assert restarted.sdp_fragment is not None
        assert restarted.etag != etag
        await hung.show(0, room(CODES[1]))
        await hung.panes[0].sees(CODES[1], 2)


async def _bound(hung: Wall, bitrate: int) -> None:
    """Let the wall tell the engine what its line carries (REMB)."""
    transport = hung.connection.getReceivers()[0].transport
    await transport._send_rtp(rtcp.receiver_report(rtcp.ReceiverInfo(1, ())) + rtcp.estimate(1, [1], bitrate))


async def _both_layers(engine: EmbeddedMediaEngine) -> None:
    """Wait until every camera has been heard with both its layers."""
    deadline = time.monotonic() + 20
    while any(stream.layers != (Layer.MAIN, Layer.THUMB) for stream in (await engine.stats()).streams):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_thin_line_is_shared_by_priority(engine: EmbeddedMediaEngine) -> None:
    """Two cameras of two layers each: the stage keeps its main picture as long as one fits, the other gives way."""
    async with AsyncExitStack() as stack:
        for code in CODES[:2]:
            await stack.enter_async_context(
                publisher(whip(engine, room(code)), code, rate=6, thumb=True, audio=True, key_frame_s=0.5)
            )
        hung = await stack.enter_async_context(wall(engine, 2, sounds=1))
        await hung.show(0, room(CODES[0]), Layer.MAIN, 1)
        await hung.show(1, room(CODES[1]), Layer.MAIN, 2)
        await hung.show(0, room(CODES[0]), priority=0, kind="audio")
        for place in (0, 1):
            await hung.says(place, Showing.MAIN)
        await _both_layers(engine)
        for bitrate, stage, other in [
            (100_000, Showing.SAVED, Showing.SAVED),
            (40_000_000, Showing.MAIN, Showing.MAIN),
        ]:
            await _bound(hung, bitrate)
            await hung.says(0, stage)
            await hung.says(1, other)
            await hung.says(0, Showing.SOUND, "audio")
        await hung.panes[1].sees(CODES[1], 2)
        assert [pane.unread for pane in hung.panes] == [0, 0]
