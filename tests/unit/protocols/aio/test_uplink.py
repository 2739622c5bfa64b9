"""How soon a node tries again: soon where a gateway begins anew, after growing pauses after any other failure."""

import asyncio
import random

import pytest

from protocols.aio.clock import SystemClock
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.aio.uplink import AT_THE_DOOR, RECONNECT, Uplink, UplinkHandlers
from tests.support.brokers import free_port
from tests.unit.protocols.aio.test_pump import Box

ENOUGH = 8


class Pauses(SystemClock):
    """Notes how long somebody wants to wait, and lets nobody wait."""

    def __init__(self) -> None:
        self.noted: list[float] = []
        self.enough = asyncio.Event()

    async def wait(self, event, seconds=None):
        self.noted.append(seconds)
        if len(self.noted) >= ENOUGH:
            self.enough.set()
            await asyncio.Event().wait()


async def pauses(address: BrokerAddress, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    clock = Pauses()

    async def never(*_):
        raise AssertionError("nobody is there")

    link = Uplink(
        node="320623-box", address=address, outbox=Box(), handlers=UplinkHandlers(never, never), clock=clock, version=""
    )
    run = asyncio.ensure_future(link.run())
    async with asyncio.timeout(30):
        await clock.enough.wait()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    return clock.noted


async def test_where_nobody_listens_it_asks_again_within_a_second(monkeypatch):
    found = await pauses(BrokerAddress("127.0.0.1", free_port()), monkeypatch)
    assert (found[0], max(found)) == (AT_THE_DOOR.base, AT_THE_DOOR.cap)


async def test_after_any_other_failure_its_pauses_grow(monkeypatch, tmp_path):
    door = BrokerAddress("127.0.0.1", free_port(), tls=TlsFiles(tmp_path / "missing.pem"))
    found = await pauses(door, monkeypatch)
    assert (found[0], max(found)) == (RECONNECT.base, RECONNECT.cap)
