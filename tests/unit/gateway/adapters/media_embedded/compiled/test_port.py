"""Many datagrams with one call: each once, from the address that Python's own sockets would name."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.compiled import build
from gateway.adapters.media_embedded.compiled.library import BATCH, Library
from gateway.adapters.media_embedded.compiled.port import CompiledPort, sockaddr, spelled
from gateway.adapters.media_embedded.socket_port import SLICE

LIBRARY = Library(Path(os.environ["PACKETS"]) if "PACKETS" in os.environ else build.ensure(build.HERE))


class Ear:
    """A port that notes what comes."""

    def __init__(self, host: str) -> None:
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.slices = 0
        self.some = asyncio.Event()
        self.port = CompiledPort(LIBRARY, host, 0, self._take, self._after)

    def _take(self, _: object, data: bytes, source: tuple[str, int]) -> None:
        self.got.append((data, source))

    def _after(self, _: object) -> None:
        self.slices += 1
        self.some.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.got) < count:
                self.some.clear()
                await self.some.wait()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_everything_comes_once_and_in_order(host: str) -> None:
    ear = Ear(host)
    mouth = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    mouth.bind((host, 0))
    sent = [bytes([place & 0xFF]) * (1 + place % 1500) for place in range(SLICE + BATCH + 3)]
    for data in sent:
        mouth.sendto(data, (host, ear.port.number))
    mouth.sendto(b"", (host, ear.port.number))
    mouth.sendto(bytes(5000), (host, ear.port.number))
    await ear.until(len(sent) + 1)
    assert [data for data, _ in ear.got] == [*sent, bytes(2048)], "nothing empty; what is too long is cut"
    assert {source for _, source in ear.got} == {mouth.getsockname()[:2]}
    assert ear.slices >= 2, "timers have their turn in between"
    mouth.close()
    ear.port.close()


async def test_what_a_peer_refuses_is_counted() -> None:
    ear = Ear("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        nobody = gone.getsockname()
    ear.port._socket.connect(nobody)  # a connected socket hears of it
    ear.port._socket.send(b"x")
    async with asyncio.timeout(20):
        while not ear.port.refused:
            ear.some.clear()
            await ear.some.wait()
    ear.port.close()


async def test_a_closed_port_sends_nowhere() -> None:
    ear = Ear("127.0.0.1")
    ear.port.close()
    assert ear.port.descriptor == -1


@pytest.mark.parametrize("address", [("127.0.0.1", 5), ("255.1.2.3", 65535), ("::1", 7), ("2001:db8::5", 40000)])
def test_addresses_are_spelled_as_pythons_sockets_do(address: tuple[str, int]) -> None:
    assert spelled(sockaddr(address)) == address


def test_an_address_with_a_zone_is_left_to_the_system() -> None:
    assert sockaddr(("fe80::1%lo", 7)) == b""
    raw = bytearray(sockaddr(("fe80::1", 7)))
    raw[24:28] = (1).to_bytes(4, "little")
    assert spelled(bytes(raw)) == ("fe80::1%lo", 7)


async def test_remembered_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.media_embedded.compiled.port.MAX_KNOWN", 2)
    ear = Ear("127.0.0.1")
    for _ in range(5):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            mouth.sendto(b"x", ("127.0.0.1", ear.port.number))
    await ear.until(5)
    assert len(ear.port._known) <= 2
    ear.port.close()
