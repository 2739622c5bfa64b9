"""Lets a peer that knows only UDP reach the engine by ICE-TCP: frames each datagram, and unframes what comes back."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from gateway.adapters.media_embedded.rules.framing import Deframer, frame
from tests.support.peers import Post

UDP_LINE = re.compile(r"a=candidate:\S+ 1 udp [^\r\n]*\r\n")
TCP_LINE = re.compile(r"a=candidate:\S+ 1 tcp \d+ (\S+) (\d+) typ host tcptype passive")


def without_udp(answer: str) -> str:
    """Return the answer with nothing but its TCP candidates."""
    stripped = UDP_LINE.sub("", answer)
    assert stripped != answer
    assert "tcptype passive" in stripped
    return stripped


def without_tcp(answer: str) -> str:
    """Return the answer with nothing but its UDP candidates."""
    return re.sub(r"a=candidate:\S+ 1 tcp [^\r\n]*\r\n", "", answer)


class Bridge(asyncio.DatagramProtocol):
    """One peer's connection."""

    def __init__(self) -> None:
        self.peer: tuple[str, int] | None = None
        self.packets = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.udp = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.peer = addr
        if not self.writer.is_closing():
            self.writer.write(frame(data))

    async def run(self, host: str, port: int) -> None:
        """Carry packets until the engine closes."""
        self.reader, self.writer = await asyncio.open_connection(host, port)
        self.task = asyncio.ensure_future(self._carry())

    async def _carry(self) -> None:
        deframer = Deframer()
        while data := await self.reader.read(8192):
            for packet in deframer.feed(data):
                self.packets += 1
                if self.peer is not None:
                    self.udp.sendto(packet, self.peer)


@contextlib.asynccontextmanager
async def by_tcp(post: Post) -> AsyncIterator[tuple[Post, Bridge]]:
    """Give a `post` whose answers lead the peer over TCP, and the bridge that carries it."""
    loop = asyncio.get_running_loop()
    bridge = Bridge()
    transport, _ = await loop.create_datagram_endpoint(lambda: bridge, ("127.0.0.1", 0))
    own = transport.get_extra_info("sockname")[1]

    async def over_tcp(offer: str) -> str:
        answer = without_udp(await post(offer))
        found = TCP_LINE.search(answer)
        assert found is not None
        await bridge.run(found[1], int(found[2]))
        return answer + f"a=candidate:9 1 udp 2130706431 127.0.0.1 {own} typ host\r\n"

    try:
        yield over_tcp, bridge
    finally:
        transport.close()
        if hasattr(bridge, "task"):
            bridge.task.cancel()
            bridge.writer.close()
            await asyncio.gather(bridge.task, return_exceptions=True)
