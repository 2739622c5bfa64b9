"""A viewer's address changes: another port behind a NAT, another network card. The session goes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aioice.ice
import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.rules import ice
from tests.support.peers import Post, Viewer, publisher, until, viewer
from tests.support.posts import whep, whip
from tests.support.tcp_bridge import without_tcp

ROOM = "320623/room"
pytestmark = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path


class Nat(asyncio.DatagramProtocol):
    """A router between one peer and the engine: `move` gives the peer another address there."""

    def __init__(self, port: int) -> None:
        self.engine = ("127.0.0.1", port)
        self.outside: asyncio.DatagramTransport | None = None
        self.peer: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.inside = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.peer = addr
        self.outside.sendto(data, self.engine)

    async def move(self, host: str) -> tuple[str, int]:
        """Take another address; the former one is dead."""
        nat = self

        class Outside(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                if nat.peer is not None:
                    nat.inside.sendto(data, nat.peer)

        former, loop = self.outside, asyncio.get_running_loop()
        self.outside, _ = await loop.create_datagram_endpoint(Outside, (host, 0))
        if former is not None:
            former.close()
        return self.outside.get_extra_info("sockname")


@contextlib.asynccontextmanager
async def behind_nat(engine: EmbeddedMediaEngine, post: Post) -> AsyncIterator[tuple[Post, Nat]]:
    """Give a `post` whose answers lead through a NAT, and the NAT."""
    nat = Nat(engine.port)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: nat, ("127.0.0.1", 0))
    await nat.move("127.0.0.1")
    own = nat.inside.get_extra_info("sockname")[1]

    async def through(offer: str) -> str:
        return without_tcp(await post(offer)).replace(f" {engine.port} typ host", f" {own} typ host")

    try:
        yield through, nat
    finally:
        nat.inside.close()
        nat.outside.close()


async def settled(seen: Viewer) -> None:
    """Wait for pictures, and until a new address is no longer taken for one more candidate."""
    loop = asyncio.get_running_loop()
    end = loop.time() + ice.SETTLED_S
    await seen.sees("320623", 3)
    await until(lambda: loop.time() > end)


@pytest.mark.parametrize("to", ["127.0.0.1", "127.0.0.2"], ids=["another port", "another card"])
async def test_the_picture_follows_the_viewer(
    engine: EmbeddedMediaEngine, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.5)
    async with (
        publisher(whip(engine, ROOM)),
        behind_nat(engine, whep(engine, ROOM)) as (post, nat),
        viewer(post) as seen,
    ):
        await settled(seen)
        await nat.move(to)
        await seen.sees("320623", 10)
        assert (await engine.stats()).sessions == {"whip": 1, "whep": 1}


async def test_a_publisher_moves_too(engine: EmbeddedMediaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.5)
    async with (
        behind_nat(engine, whip(engine, ROOM)) as (post, nat),
        publisher(post),
        viewer(whep(engine, ROOM)) as seen,
    ):
        await settled(seen)
        await nat.move("127.0.0.2")
        await seen.sees("320623", 10)
