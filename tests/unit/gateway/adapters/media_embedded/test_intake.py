"""How packets come from sockets to streams: together, in order, and never for so long that timers wait."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gateway.adapters.media_embedded.hub import Hub
from gateway.adapters.media_embedded.intake import PORTION, Intake
from gateway.adapters.media_embedded.paths import BatchedPath
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.rtp import Packet, header
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.socket_port import SocketPort
from gateway.adapters.media_embedded.srtp import Keys
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp
from gateway.adapters.media_embedded.wire import Open
from gateway.ports.media import EndReason, SessionKind
from tests.support.until import until

PROFILE = b"SRTP_AEAD_AES_128_GCM"
OURS, THEIRS = bytes(28), bytes([1]) * 28


class Inlet:
    """An intake behind a real socket; one session, whose publisher has keys, sends to it."""

    def __init__(self, hub: Hub) -> None:
        spec = Open("camera", SessionKind.WHIP, "s", Credentials("a", "p"), Credentials("b", "q"), "", (), 0.0)
        self.forwarded: list[int] = []
        self.portions: list[int] = []
        self.fails = 0
        self.intake = Intake(self._forward, lambda _: None, 0.001)
        self.port = SocketPort("127.0.0.1", 0, self._receive, self.intake.drained)
        assert hub.open(spec, self.port)
        self.session = hub.sessions["camera"]
        self.session.srtp = GcmSrtp.of(Keys(PROFILE, OURS, THEIRS))
        self._peer = GcmSrtp.of(Keys(PROFILE, THEIRS, OURS))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sent = 0

    def send(self, count: int) -> None:
        """Let a picture of so many packets come."""
        for left in reversed(range(count)):
            packet = header(96, self._sent, 0, 7, marker=left == 0) + b"picture"
            self._socket.sendto(self._peer.protect(packet), ("127.0.0.1", self.port.number))
            self._sent += 1

    def _receive(self, _: SocketPort, data: bytes, __: tuple[str, int]) -> None:
        self.session.inbox.append(data)
        self.intake.waiting(self.session, marked=data[1] > 127)

    def _forward(self, _: Session, packets: list[Packet]) -> None:
        self.portions.append(len(packets))
        self.forwarded += [packet.sequence for packet in packets]
        if self.fails:
            self.fails -= 1
            raise RuntimeError("a fault in one stream")

    def close(self) -> None:
        self.port.close()
        self._socket.close()


@pytest.fixture
async def inlet() -> Iterator[Inlet]:
    hub = Hub(None, BatchedPath(), lambda _: None)  # None: nobody shakes hands here
    made = Inlet(hub)
    yield made
    hub.close("camera", EndReason.SHUTDOWN)
    made.close()


async def test_a_long_backlog_is_forwarded_in_order_and_others_have_their_turn(
    inlet: Inlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.media_embedded.intake.TURN_S", 0.0)  # whatever is done has taken too long
    inlet.send(5 * PORTION + 3)
    seen: list[int] = []

    async def other() -> None:
        while len(inlet.forwarded) < 5 * PORTION + 3:
            seen.append(len(inlet.forwarded))
            await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await other()
    assert inlet.forwarded == list(range(5 * PORTION + 3))
    assert inlet.portions == [PORTION] * 5 + [3]
    assert {0, PORTION, 2 * PORTION, 3 * PORTION, 4 * PORTION, 5 * PORTION} <= set(seen)


async def test_in_a_rush_the_socket_is_looked_at_and_afterwards_listened_to_again(inlet: Inlet) -> None:
    for number in range(200):
        inlet.port.rush.woken(number / 10_000)
    assert inlet.port.rush.on
    inlet.send(4)
    await until(lambda: len(inlet.forwarded) == 4, what="the picture")
    inlet.send(2)
    await until(lambda: len(inlet.forwarded) == 6, what="the picture that came while nobody listened")
    await until(lambda: not inlet.port.rush.on, what="the end of the rush")
    inlet.send(3)
    await until(lambda: len(inlet.forwarded) == 9, what="a picture after the rush")


async def test_a_fault_leaves_what_comes_after_it_alone(inlet: Inlet) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
    inlet.fails = 2
    inlet.send(3 * PORTION)
    await until(lambda: len(inlet.forwarded) == 3 * PORTION, what="the rest")
    inlet.send(1)
    await until(lambda: len(inlet.forwarded) == 3 * PORTION + 1, what="the next picture")
    assert inlet.forwarded == sorted(inlet.forwarded)
