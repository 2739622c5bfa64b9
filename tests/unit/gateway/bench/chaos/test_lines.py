"""A relay that is cut lets nothing pass and tells nobody; whole again, what was open breaks and what is new passes."""

import asyncio
import contextlib

import pytest

from gateway.bench.chaos.lines import Relay


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


async def test_nothing_passes_a_cut_line_and_afterwards_the_old_connection_breaks() -> None:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, Relay() as relay:
        relay.target = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        with relay.cut():
            writer.write(b"two")
            waiting = asyncio.ensure_future(reader.read(3))
            _, late = await asyncio.open_connection("127.0.0.1", relay.port)
            late.write(b"late")
            for _ in range(50):
                await asyncio.sleep(0)
            assert not waiting.done()
        with contextlib.suppress(ConnectionResetError):
            assert await waiting == b""
        late.close()
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"three")
        assert await reader.readexactly(5) == b"three"
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", relay.port)
