"""The line: whole it carries bytes, cut it breaks what is open and refuses what is new, mended it carries again."""

import asyncio
import contextlib

import pytest

from gateway.demo.cutline import CutLine


async def echo(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(100):
            writer.write(data)
    writer.close()


async def through(port: int, text: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    assert await reader.readexactly(len(text)) == text
    return reader, writer


async def broken(reader: asyncio.StreamReader) -> bool:
    try:
        return not await asyncio.wait_for(reader.read(10), 10)
    except OSError:
        return True


async def test_a_line_is_cut_and_mended():
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        line = CutLine(0, server.sockets[0].getsockname()[1])
        await line.mend()
        reader, writer = await through(line.port, b"up")

        await line.cut()
        assert await broken(reader)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", line.port)
        writer.close()

        await line.mend()
        _, writer = await through(line.port, b"again")
        writer.close()
        await writer.wait_closed()
        await line.cut()
