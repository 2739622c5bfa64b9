"""DTLS between two of ours: over a good wire, a lossy one and an attacker's."""

import asyncio
import datetime
import random
from collections.abc import Callable

import pytest

from gateway.adapters.media_embedded import dtls, identity
from gateway.adapters.media_embedded.dtls import Dtls
from gateway.adapters.media_embedded.srtp import Keys
from tests.support.peers import until

OURS = identity.make(datetime.datetime.now(datetime.UTC))
THEIRS = identity.make(datetime.datetime.now(datetime.UTC))


class Wire:
    """Two ends in memory; `lose(sender, ordinal)` says which datagrams get lost."""

    def __init__(self, lose: Callable[[str, int], bool] = lambda *_: False, print_of_server: str = THEIRS.fingerprint):
        self.loop, self.lose = asyncio.get_running_loop(), lose
        self.keys: dict[str, list[Keys | None]] = {"client": [], "server": []}
        self.sent = {"client": 0, "server": 0}
        self.again = 0
        self.client = self._end("client", OURS, print_of_server)
        self.server = self._end("server", THEIRS, OURS.fingerprint)

    def _end(self, name: str, own: identity.Identity, fingerprint: str) -> Dtls:
        def send(data: bytes) -> None:
            self.sent[name] += 1
            other = self.server if name == "client" else self.client
            if not self.lose(name, self.sent[name]):
                self.loop.call_soon(other.feed, data)

        def again() -> None:
            self.again += 1

        shared = dtls.context(own.certificate, own.key)
        return Dtls(
            shared,
            server=name == "server",
            fingerprint=fingerprint,
            send=send,
            done=self.keys[name].append,
            again=again,
        )

    async def up(self) -> None:
        self.client.start()
        await until(lambda: self.keys["client"] and self.keys["server"])

    def close(self) -> None:
        self.client.close()
        self.server.close()


async def test_both_ends_derive_the_same_keys() -> None:
    wire = Wire()
    await wire.up()
    (client,), (server,) = wire.keys["client"], wire.keys["server"]
    assert client is not None
    assert server is not None
    assert (client.sending, client.receiving) == (server.receiving, server.sending)
    assert client.profile == b"SRTP_AEAD_AES_128_GCM"
    wire.client.close()
    await until(lambda: len(wire.keys["server"]) == 2)
    assert wire.keys["server"][1] is None, "close_notify ends the other side at once"
    wire.close()


@pytest.mark.parametrize("lost", [("client", 1), ("server", 1), ("client", 2), ("server", 2), ("client", 3)])
async def test_one_lost_datagram_is_repeated_quickly(lost: tuple[str, int]) -> None:
    wire = Wire(lambda sender, number: (sender, number) == lost)
    began = asyncio.get_running_loop().time()
    await wire.up()
    assert asyncio.get_running_loop().time() - began < 0.9, "OpenSSL alone would wait a second"
    assert wire.keys["client"][0] is not None
    wire.close()


async def test_a_lost_last_flight_is_answered_from_memory() -> None:
    lost = [True]

    def lose(sender: str, number: int) -> bool:
        return sender == "server" and wire.server.up and lost[0]

    wire = Wire(lose)
    wire.client.start()
    await until(lambda: wire.keys["server"])
    lost[0] = False
    await until(lambda: wire.keys["client"])
    assert wire.keys["client"][0] is not None
    wire.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_third_lost_still_comes_up(seed: int) -> None:
    chance = random.Random(seed)
    wire = Wire(lambda *_: chance.random() < 0.3)
    await wire.up()
    wire.close()


async def test_another_certificate_is_refused() -> None:
    wire = Wire(print_of_server=OURS.fingerprint)
    wire.client.start()
    await until(lambda: wire.keys["client"])
    assert wire.keys["client"] == [None]
    wire.close()


async def test_a_forged_alert_does_not_kill_a_handshake() -> None:
    wire = Wire()
    wire.server.feed(b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28")
    await wire.up()
    assert wire.keys["server"][0] is not None
    wire.close()


@pytest.mark.parametrize("data", [b"\x16", b"\x16\xfe\xfd" + bytes(40), bytes(range(20, 64)) * 10, b"\x3f" * 1500])
async def test_rubbish_does_no_harm(data: bytes) -> None:
    wire = Wire()
    wire.server.feed(data)
    await wire.up()
    wire.server.feed(data)
    assert wire.keys["server"][0] is not None
    assert not wire.server.over
    wire.close()


def test_datagrams_are_cut_at_records() -> None:
    record = b"\x16\xfe\xfd" + bytes(8) + b"\x01\x00" + bytes(256)
    cut = dtls.datagrams(record * 7)
    assert b"".join(cut) == record * 7
    assert all(len(datagram) <= dtls.MTU and len(datagram) % len(record) == 0 for datagram in cut)
