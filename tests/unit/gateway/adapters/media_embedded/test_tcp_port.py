"""The TCP port with real sockets: whole packets, bounded strangers, slow readers that harm nobody."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from gateway.adapters.media_embedded import tcp_port
from gateway.adapters.media_embedded.rules.framing import Deframer, frame
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.tcp_port import TcpPort
from tests.support.until import until


@dataclass
class Door:
    came: list[tuple[bytes, Address]] = field(default_factory=list)
    gone: list[Address] = field(default_factory=list)
    proving: bool = False
    port: TcpPort = field(init=False)

    def receive(self, data: bytes, source: Address) -> None:
        self.came.append((data, source))
        if self.proving:
            self.port.prove(source)

    async def enter(self, first: bytes = b"\x00first") -> tuple[socket.socket, Address]:
        link = socket.create_connection(("127.0.0.1", self.port.number))
        link.settimeout(0)
        link.send(frame(first))
        address = (f"tcp:{link.getsockname()[0]}", link.getsockname()[1])
        await until(lambda: (first, address) in self.came)
        return link, address


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    made.port = TcpPort("127.0.0.1", 0, made.receive, made.gone.append)
    yield made
    made.port.close()


def heard(link: socket.socket, deframer: Deframer) -> list[bytes]:
    found: list[bytes] = []
    while True:
        try:
            data = link.recv(1 << 20)
        except BlockingIOError:
            return found
        if not data:
            return found
        found += deframer.feed(data)


async def ended(link: socket.socket) -> bool:
    def closed() -> bool:
        try:
            return link.recv(1 << 20) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    await until(closed)
    link.close()
    return True


async def test_packets_both_ways_and_the_end(door: Door) -> None:
    link, address = await door.enter()
    door.port.prove(address)
    door.port.send(b"\x80answer", address)
    found: list[bytes] = []
    deframer = Deframer()
    await until(lambda: found.extend(heard(link, deframer)) or found)
    assert found == [b"\x80answer"]
    link.close()
    await until(lambda: door.gone == [address])
    assert door.port.connections == 0
    door.port.send(b"\x80late", address)
    assert door.port.dropped == {"unsent": 1}


async def test_a_slow_reader_loses_whole_packets_and_nobody_else_any(door: Door) -> None:
    (slow, slowly), (quick, quickly) = await door.enter(b"\x00slow"), await door.enter(b"\x00quick")
    door.port.prove(slowly), door.port.prove(quickly)
    sent, got, got_slowly = 0, [], []
    ears, slow_ears = Deframer(), Deframer()
    while door.port.dropped["tcp_backlog"] < 500:
        for _ in range(100):
            packet = b"\x80" + sent.to_bytes(4, "big") + bytes(1000 + sent % 200)
            door.port.send(packet, slowly)
            door.port.send(packet, quickly)
            sent += 1
        while len(got) < sent:
            got += heard(quick, ears)
            await asyncio.sleep(0)
    assert door.port._peers[slowly].backlog <= tcp_port.BACKLOG + tcp_port.SPARE
    before = door.port.dropped["tcp_backlog"]
    door.port.send(b"\x00a check still passes", slowly)
    assert door.port.dropped["tcp_backlog"] == before
    await until(lambda: got_slowly.extend(heard(slow, slow_ears)) or len(got_slowly) == sent - before + 1)
    assert got_slowly[-1] == b"\x00a check still passes"
    numbers = [int.from_bytes(packet[1:5], "big") for packet in got_slowly[:-1]]
    assert numbers == sorted(set(numbers))
    assert all(len(packet) == 1005 + n % 200 for n, packet in zip(numbers, got_slowly, strict=False))
    slow.close(), quick.close()


async def test_strangers_have_few_bytes_and_little_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    link, _ = await door.enter()
    link.send(frame(bytes(1000)) * 20)
    assert await ended(link)
    assert door.port.dropped["tcp_unproved"] == 1
    monkeypatch.setattr(tcp_port, "UNPROVED_S", 0.05)
    link, address = await door.enter()
    assert await ended(link)
    assert door.port.dropped["tcp_unproved"] == 2
    assert address in door.gone
    link = socket.create_connection(("127.0.0.1", door.port.number))
    link.settimeout(0)
    link.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await ended(link)
    assert door.port.dropped["tcp_malformed"] == 1


async def test_who_has_proved_himself_stays_and_may_speak_much(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_port, "UNPROVED_S", 0.05)
    door.proving = True
    link, _ = await door.enter()
    door.proving = False
    link.send(frame(b"\x80" + bytes(1000)) * 20)
    await until(lambda: len(door.came) == 21)
    other, _ = await door.enter(b"\x00other")
    assert await ended(other)
    assert door.port.connections == 1
    link.close()


async def test_a_crowd_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_port, "MAX_UNPROVED", 3)
    inside = [await door.enter(bytes((0, n))) for n in range(3)]
    late = socket.create_connection(("127.0.0.1", door.port.number))
    late.settimeout(0)
    assert await ended(late)
    assert door.port.dropped["tcp_too_many"] == 1
    door.port.prove(inside[0][1])
    again, _ = await door.enter(b"\x00again")
    for link in (again, *(one for one, _ in inside)):
        link.close()


async def test_a_released_connection_gives_out_what_waits(door: Door) -> None:
    link, address = await door.enter()
    door.port.prove(address)
    sent = 0
    while not door.port._peers[address].waiting:
        door.port.send(b"\x80" + bytes(1200), address)
        sent += 1
    door.port.release(address)
    assert door.gone == []
    found: list[bytes] = []
    ears = Deframer()
    await until(lambda: found.extend(heard(link, ears)) or door.gone == [address])
    found += heard(link, ears)
    assert len(found) == sent
    link.close()


async def test_many_connections_come_and_go_without_a_trace(door: Door) -> None:
    for number in range(60):
        link, address = await door.enter(number.to_bytes(2, "big") + b"\x00")
        if number % 2:
            door.port.prove(address)
            door.port.release(address)
        link.close()
    await until(lambda: door.port.connections == 0)
    assert len(door.gone) == 60
    assert door.port._unproved == 0
