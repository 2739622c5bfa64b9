"""Lost packets, towards the engine and away from it: asked for, repeated, and the picture goes on."""

import random
from collections import Counter

import aioice
import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport

from gateway.adapters.media_embedded.rules import rtp
from gateway.ports.media import MediaEngine
from tests.support.peers import publisher, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"


def lossy(monkeypatch: pytest.MonkeyPatch, ratio: float, *, sending: bool) -> Counter[str]:
    """Make aiortc peers lose media packets before they are sent, or after they came."""
    chance, figures = random.Random(7), Counter[str]()
    send, take = RTCDtlsTransport._send_rtp, aioice.Connection.recv

    async def lossy_send(self: RTCDtlsTransport, data: bytes) -> None:
        if sending and not rtp.is_rtcp(data):
            figures["sent"] += 1
            if chance.random() < ratio:
                figures["lost"] += 1
                return
        await send(self, data)

    async def lossy_take(self: aioice.Connection) -> bytes:
        while True:
            data = await take(self)
            if sending or not 128 <= data[0] <= 191 or rtp.is_rtcp(data):
                return data
            figures["came"] += 1
            if chance.random() >= ratio:
                return data
            figures["lost"] += 1

    monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", lossy_send)
    monkeypatch.setattr(aioice.Connection, "recv", lossy_take)
    return figures


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_what_the_publisher_loses_is_asked_for(
    engine: MediaEngine, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    figures = lossy(monkeypatch, 0.1, sending=True)
    async with publisher(whip(engine, ROOM), codec=codec, rate=25), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623", 60)
        assert figures["lost"] >= 5
        (stream,) = (await engine.stats()).streams
    assert stream.lost <= figures["lost"] // 4, "most come again"


async def test_what_the_viewer_loses_is_repeated(engine: MediaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = lossy(monkeypatch, 0.1, sending=False)
    async with publisher(whip(engine, ROOM), rate=25), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623", 60)
        assert figures["lost"] >= 5
        (stream,) = (await engine.stats()).streams
    assert stream.packets_out < figures["came"], "repetitions came on top of the leg's own packets"
