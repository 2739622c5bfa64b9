"""An upward session's sockets: one number at every address, each packet by the socket of its version."""

import asyncio
import socket

import pytest

from gateway.adapters.media_embedded.doors import NUMBERS_TRIED, Doors
from gateway.adapters.media_embedded.socket_port import SocketPort


def port(host: str, number: int) -> SocketPort:
    return SocketPort(host, number, lambda *_: None, lambda _: None)


async def test_each_packet_goes_by_the_socket_of_its_version() -> None:
    doors = Doors.opened(["127.0.0.1", "::1"], port)
    assert doors.way is doors
    assert {one.number for one in doors.ports} == {doors.number}
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as ear:
            ear.bind((host, 0))
            ear.setblocking(False)
            to = (host, ear.getsockname()[1])
            doors.prove(to)
            doors.send(b"one", to)
            doors.send_pairs([b"t", b"wo"], to)
            doors.send_group([b"th", b"ree"], 5, 1, to)
            loop = asyncio.get_running_loop()
            for expected in (b"one", b"two", b"three"):
                data, source = await loop.sock_recvfrom(ear, 100)
                assert (data, source[:2]) == (expected, (host, doors.number))
            doors.release(to)
    doors.close()


async def test_one_socket_is_itself() -> None:
    doors = Doors.opened(["127.0.0.1"], port)
    assert doors.way is doors.ports[0]
    doors.send(b"by IPv4, which cannot be", ("::1", 9))
    assert doors.ports[0].unsent == 1, "counted, never raised"
    doors.close()


async def test_a_number_that_is_free_at_one_address_alone_is_given_back() -> None:
    asked, closed = [], []

    class Noted(SocketPort):
        def close(self) -> None:
            closed.append(self.number)
            super().close()

    def taken(host: str, number: int) -> SocketPort:
        asked.append(host)
        if number and len(asked) < 2 * NUMBERS_TRIED - 1:
            raise OSError("somebody has it")
        return Noted(host, number, lambda *_: None, lambda _: None)

    doors = Doors.opened(["127.0.0.1", "::1"], taken)
    assert len(closed) == NUMBERS_TRIED - 1
    doors.close()
    asked.clear()
    closed.clear()

    def never(host: str, number: int) -> SocketPort:
        if number:
            raise OSError("somebody has it")
        return taken(host, 0)

    with pytest.raises(OSError, match="somebody"):
        Doors.opened(["127.0.0.1", "::1"], never)
    assert len(closed) == NUMBERS_TRIED
