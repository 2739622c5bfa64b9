"""The decoder process as seen from control."""

import asyncio
import os
import signal

import pytest

from gateway.adapters.media_embedded import stills
from gateway.adapters.media_embedded.stills import Stills
from protocols.errors import BadMediaError
from tests.support.peers import MarkTrack, until


def unit() -> bytes:
    track = MarkTrack("320623", "H264")
    track.number = 1
    return b"".join(bytes(packet) for packet in track._encode() or track._encode())


def bring(content: bytes) -> stills.Fetch:
    async def fetch() -> tuple[str, bytes]:
        return "h264", content

    return fetch


async def test_a_decoder_that_dies_is_replaced() -> None:
    decoder = Stills()
    try:
        picture = await decoder.decode(bring(unit()))
        assert picture.jpeg.startswith(b"\xff\xd8")
        assert decoder._process is not None
        os.kill(decoder._process.pid, signal.SIGKILL)
        await until(lambda: decoder._process is None or decoder._process.returncode is not None)
        assert (await decoder.decode(bring(unit()))).jpeg
        assert decoder.started == 2
        with pytest.raises(BadMediaError):
            await decoder.decode(bring(b"rubbish"))
        assert (await decoder.decode(bring(unit()))).jpeg
        assert decoder.started == 2
    finally:
        await decoder.close()


async def test_a_decoder_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Stills()
    try:
        await decoder.decode(bring(unit()))
        assert decoder._process is not None
        os.kill(decoder._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(stills, "DECODE_S", 0.3)
        with pytest.raises(BadMediaError):
            await decoder.decode(bring(unit()))
        monkeypatch.setattr(stills, "DECODE_S", 20.0)
        assert (await decoder.decode(bring(unit()))).jpeg
    finally:
        await decoder.close()


async def test_who_goes_away_costs_the_others_nothing() -> None:
    decoder, fetched = Stills(), list[str]()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> tuple[str, bytes]:
        fetched.append("slow")
        reached.set()
        await go_on.wait()
        return "h264", unit()

    async def never() -> tuple[str, bytes]:
        raise AssertionError("its asker is gone")

    try:
        process = (await decoder.decode(bring(unit())), decoder._process)[1]
        in_turn = asyncio.ensure_future(decoder.decode(slow))
        await reached.wait()
        behind = [asyncio.ensure_future(decoder.decode(one)) for one in (never, bring(unit()))]
        await asyncio.sleep(0)
        for gone in (in_turn, behind[0]):
            gone.cancel()
        go_on.set()
        assert (await behind[1]).jpeg
        assert fetched == ["slow"]
        assert decoder._process is process
        assert decoder.started == 1
    finally:
        await decoder.close()


async def test_who_waits_while_it_is_closed_is_told() -> None:
    decoder = Stills()
    reached = asyncio.Event()

    async def slow() -> tuple[str, bytes]:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    waiting = [asyncio.ensure_future(decoder.decode(slow)) for _ in range(2)]
    await reached.wait()
    await decoder.close()
    for one in waiting:
        with pytest.raises(BadMediaError, match="closed"):
            await one


async def test_the_next_picture_is_fetched_while_one_is_decoded_and_no_more_than_that() -> None:
    decoder, fetched = Stills(), list[str]()

    def noting(name: str) -> stills.Fetch:
        async def fetch() -> tuple[str, bytes]:
            fetched.append(name)
            return "h264", unit()

        return fetch

    try:
        await decoder.decode(bring(unit()))
        assert decoder._process is not None
        os.kill(decoder._process.pid, signal.SIGSTOP)
        asked = [asyncio.ensure_future(decoder.decode(noting(name))) for name in ("first", "next", "later")]
        await until(lambda: len(fetched) == 2)
        assert fetched == ["first", "next"], "what is fetched too early is old when its turn comes"
        assert not asked[0].done()
        os.kill(decoder._process.pid, signal.SIGCONT)
        assert all(picture.jpeg for picture in await asyncio.gather(*asked))
        assert fetched == ["first", "next", "later"]
        assert decoder.started == 1
    finally:
        await decoder.close()
