"""The bad line itself: what it promises happens, in its measure, and the same way each time."""

import asyncio
import socket
from itertools import pairwise

import pytest

from gateway.bench.impair import BadLine, Direction, Impairment
from tests.support.until import until

SDP = (
    "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host\r\n"
    "a=candidate:2 1 tcp 2130706000 127.0.0.1 5001 typ host tcptype passive\r\na=end-of-candidates\r\n"
)


def fates(rules: Impairment, seed: int = 3, count: int = 2000) -> list[list[float]]:
    import random

    direction = Direction(rules, random.Random(seed))
    return [direction.fate(1000, number / 100) for number in range(count)]


def test_nothing_is_changed_unless_asked_for() -> None:
    assert fates(Impairment()) == [[number / 100] for number in range(2000)]


def test_losses_doubles_and_order_are_as_asked_for() -> None:
    found = fates(Impairment(loss=0.1, doubled=0.05, jitter_s=0.03))
    assert sum(not one for one in found) == pytest.approx(200, rel=0.25)
    assert sum(len(one) == 2 for one in found) == pytest.approx(90, rel=0.4)
    times = [one[0] for one in found if one]
    assert all(one < other for one, other in pairwise(times)), "jitter keeps the order, and timers of one moment do not"
    assert found == fates(Impairment(loss=0.1, doubled=0.05, jitter_s=0.03))
    assert found != fates(Impairment(loss=0.1, doubled=0.05, jitter_s=0.03), seed=4)
    mixed = [one[0] for one in fates(Impairment(reordered=0.1))]
    assert mixed != sorted(mixed)


def test_a_thin_line_queues_and_then_drops() -> None:
    found = fates(Impairment(rate_bps=400_000, queue_s=0.2))
    waits = [one[0] - number / 100 for number, one in enumerate(found) if one]
    assert max(waits) <= 0.2 + 0.02 + 1e-9
    assert sum(not one for one in found) == pytest.approx(1000, rel=0.1), "half of 800 kbit/s"
    assert fates(Impairment(cut=True), count=3) == [[], [], []]


def test_the_answer_leads_through_the_line() -> None:
    line = BadLine(5000)
    line.port = 6000
    assert line.through(SDP) == "a=candidate:1 1 udp 2130706431 127.0.0.1 6000 typ host\r\na=end-of-candidates\r\n"


async def test_clients_are_told_apart_and_answered() -> None:
    loop = asyncio.get_running_loop()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.settimeout(0)
    server.bind(("127.0.0.1", 0))
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    heard: dict[tuple[str, int], bytes] = {}
    async with BadLine(server.getsockname()[1], up=Impairment(delay_s=0.01)) as line:
        for number, client in enumerate(clients):
            client.settimeout(0)
            await loop.sock_sendto(client, b"from %d" % number, ("127.0.0.1", line.port))
        for _ in clients:
            data, source = await loop.sock_recvfrom(server, 100)
            heard[source] = data
            await loop.sock_sendto(server, b"to " + data, source)
        assert sorted(heard.values()) == [b"from 0", b"from 1"]
        for number, client in enumerate(clients):
            assert await loop.sock_recv(client, 100) == b"to from %d" % number
        line.cut()
        await loop.sock_sendto(clients[0], b"gone", ("127.0.0.1", line.port))
        await until(lambda: line.counts["cut"] == 1)
        assert line.counts["came"] == 5
    for one in (server, *clients):
        one.close()
