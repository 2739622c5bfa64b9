"""The decoder process as seen from control."""

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


async def test_a_decoder_that_dies_is_replaced() -> None:
    decoder = Stills()
    try:
        picture = await decoder.decode("h264", unit())
        assert picture.jpeg.startswith(b"\xff\xd8")
        assert decoder._process is not None
        os.kill(decoder._process.pid, signal.SIGKILL)
        await until(lambda: decoder._process is None or decoder._process.returncode is not None)
        assert (await decoder.decode("h264", unit())).jpeg
        assert decoder.started == 2
        with pytest.raises(BadMediaError):
            await decoder.decode("h264", b"rubbish")
        assert (await decoder.decode("h264", unit())).jpeg
        assert decoder.started == 2
    finally:
        await decoder.close()


async def test_a_decoder_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Stills()
    try:
        await decoder.decode("h264", unit())
        assert decoder._process is not None
        os.kill(decoder._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(stills, "DECODE_S", 0.3)
        with pytest.raises(BadMediaError):
            await decoder.decode("h264", unit())
        monkeypatch.setattr(stills, "DECODE_S", 20.0)
        assert (await decoder.decode("h264", unit())).jpeg
    finally:
        await decoder.close()
