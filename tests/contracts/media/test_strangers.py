"""Who did not prove himself is not heard, gets no more than he sent, and is counted by name."""

import asyncio
import contextlib
import os
import random
import re
import socket
from collections.abc import AsyncIterator

import pylibsrtp
import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.rules import rtp, stun
from tests.support.peers import publisher, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"


class Stranger:
    """A socket that counts what it sends and gets."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(("127.0.0.1", port))
        self.sent = self.got = 0

    def send(self, data: bytes) -> None:
        self.sent += len(data)
        self.socket.send(data)

    def drain(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096))
            except BlockingIOError:
                break
        self.got += sum(map(len, found))
        return found


@pytest.fixture
async def stranger(engine: EmbeddedMediaEngine) -> AsyncIterator[Stranger]:
    made = Stranger(engine.port)
    yield made
    made.drain()
    assert made.got <= made.sent, "no amplification"
    made.socket.close()


async def dropped(engine: EmbeddedMediaEngine, name: str, least: int = 1) -> None:
    async with asyncio.timeout(20):
        while (await engine.stats()).dropped.get(name, 0) < least:
            await asyncio.sleep(0.05)


def asking(user: str, password: str) -> bytes:
    return stun.check(os.urandom(12), (user, "stranger"), password.encode(), priority=1, tie_breaker=1, nominate=True)


async def test_packets_from_nowhere(engine: EmbeddedMediaEngine, stranger: Stranger) -> None:
    for data in (
        rtp.header(96, 1, 2, 3, marker=True) + bytes(100),
        b"\x80\xc8\x00\x06" + bytes(24),
        b"\x16\xfe\xfd" + bytes(100),
        b"\xff" * 50,
        b"\x00",
        stun.build(stun.REQUEST, os.urandom(12), []),
        asking("nobody", "p" * 22),
        stun.build(stun.SUCCESS, os.urandom(12), []),
        b"\x01",
    ):
        stranger.send(data)
    await dropped(engine, "unknown_address", 3)
    await dropped(engine, "unknown_user", 3)
    await dropped(engine, "malformed", 2)


async def test_a_flood_leaves_the_picture_alone(engine: EmbeddedMediaEngine, stranger: Stranger) -> None:
    async with publisher(whip(engine, ROOM)), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623")
        for _ in range(40):
            for _ in range(50):
                stranger.send(os.urandom(1) + os.urandom(200))
            await asyncio.sleep(0.01)
        await seen.sees("320623", 10)
    stats = await engine.stats()
    assert sum(stats.dropped.values()) > 500
    assert "internal_error" not in stats.dropped


async def test_the_right_user_with_a_wrong_password(engine: EmbeddedMediaEngine, stranger: Stranger) -> None:
    answers = []

    async def post(offer: str) -> str:
        answers.append((await engine.publish(ROOM, offer)).sdp)
        return answers[0]

    async with publisher(post), viewer(whep(engine, ROOM)) as seen:
        user = re.search("a=ice-ufrag:(.*)\r", answers[0])
        assert user is not None
        stranger.send(asking(user[1], "w" * 32))
        stranger.send(b"\x16\xfe\xfd" + bytes(100))
        await dropped(engine, "spoofed")
        assert [stun.parse(data).error_code() for data in stranger.drain()] == [401]
        await seen.sees("320623", 3)


async def test_replayed_and_forged_media(engine: EmbeddedMediaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent from the publisher's own address, as an attacker on the line would."""
    plain = RTCDtlsTransport._send_rtp

    async def twice(self: RTCDtlsTransport, data: bytes) -> None:
        if rtp.is_rtcp(data):
            await plain(self, data)
            return
        secured = self._tx_srtp.protect(data)
        await self.transport._send(secured[:-1] + bytes([secured[-1] ^ 1]))
        await self.transport._send(secured)
        await self.transport._send(secured)

    async with publisher(whip(engine, ROOM)), viewer(whep(engine, ROOM)) as seen:
        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", twice)
        await dropped(engine, "replay", 10)
        await dropped(engine, "spoofed", 10)
        await seen.sees("320623", 3)
        assert set(seen.marks) == {"320623"}


async def test_an_authentic_peer_that_speaks_nonsense(engine: EmbeddedMediaEngine) -> None:
    """Publisher and viewer with good keys and bad packets: counted, and the picture goes on."""
    chance = random.Random(11)
    async with publisher(whip(engine, ROOM)) as sending, viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623")
        for number in range(600):
            peer = sending.connection.getSenders()[0] if number % 2 else seen.connection.getReceivers()[0]
            keys, wire = peer.transport._tx_srtp, peer.transport.transport
            body = chance.randbytes(chance.randrange(0, 200))
            if number % 3:
                head = rtp.header(
                    chance.choice([96, 97, 98, 99, 102, 111]), number, number, chance.choice([7, 8]), marker=True
                )
                first = bytes([head[0] | chance.choice([0, 0x10, 0x20, 0x0F])])
                with contextlib.suppress(pylibsrtp.Error):  # the library refuses what is too broken to encrypt
                    await wire._send(keys.protect(first + head[1:] + body))
            else:
                body += bytes(-len(body) % 4)
                kind = chance.choice([200, 201, 202, 203, 205, 206, 207])
                packet = bytes([0x80 | chance.randrange(64), kind, 0, len(body) // 4]) + bytes(4) + body
                await wire._send(keys.protect_rtcp(packet))
            if number % 50 == 0:
                await asyncio.sleep(0.02)
        await dropped(engine, "malformed")
        await dropped(engine, "foreign_ssrc", 10)
        await seen.sees("320623", 10)
        assert "internal_error" not in (await engine.stats()).dropped
