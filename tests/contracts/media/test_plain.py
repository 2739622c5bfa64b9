"""Plain RTP from another engine: taken from the host agreed on alone, and of that only what was agreed."""

import asyncio
import socket
import struct

import pytest

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.negotiation import Feed
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.ingest import Codec
from gateway.ports.media import StreamState
from protocols.errors import ConfigError, NotFoundError

pytestmark = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path
ROOM, SSRC = "320623/room", 0x5117A4
TRACK = Track("audio", "0", 0, {96: Codec("opus", 48000)}, {}, 0, (SSRC,), name="audio")


def packet(number: int, ssrc: int = SSRC, payload_type: int = 96) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, number, number * 960, ssrc) + b"\xf8sound"


def sender(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.connect(("127.0.0.1", port))
    return made


async def test_only_what_was_agreed_is_taken(engine: EmbeddedMediaEngine) -> None:
    ports = []

    async def agree(port: int):
        ports.append(port)
        return ("127.0.0.1", 9), (TRACK,)

    await engine.hear(Feed("feed", ROOM, "127.0.0.1", moment.now()), agree)
    with sender("127.0.0.1", ports[0]) as janus, sender("127.0.0.2", ports[0]) as stranger:
        stranger.send(packet(1))
        janus.send(packet(1, ssrc=SSRC + 1))
        janus.send(packet(1, payload_type=97))
        janus.send(b"\x16\xfe\xfd" + bytes(20))
        wanted = {"unknown_address": 1, "not_agreed": 2, "unknown_kind": 1}
        async with asyncio.timeout(20):
            while wanted.items() - (await engine.stats()).dropped.items():
                await asyncio.sleep(0.02)
        assert sum(s.packets_in for s in (await engine.stats()).streams) == 0
        number = 0
        async with asyncio.timeout(20):
            while not [s for s in (await engine.stats()).streams if s.state is StreamState.LIVE and s.audio]:
                number += 1
                janus.send(packet(number))
                await asyncio.sleep(0.02)
    assert (await engine.stats()).sessions == {"whip": 1}
    await engine.end("feed")
    with pytest.raises(NotFoundError):
        await engine.end("feed")


async def test_an_address_that_is_not_ours_cannot_be_heard_at(engine: EmbeddedMediaEngine) -> None:
    async def agree(port: int):
        raise AssertionError("there is no port")

    with pytest.raises(ConfigError, match="address of this machine"):
        await engine.hear(Feed("feed", ROOM, "192.0.2.1", moment.now()), agree)
    assert (await engine.stats()).sessions == {}
