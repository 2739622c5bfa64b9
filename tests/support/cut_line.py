"""A line between a node and its broker that can be cut: packets stop, nobody is told, as with a cut fibre."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class CutLine:
    """`address` is where the node connects; `cut` and `mend` are the fibre."""

    port: int = 0
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        self.whole.clear()

    def mend(self) -> None:
        """Let packets pass again; what was connected over the old fibre is gone."""
        for writer in tuple(self.writers):
            writer.transport.abort()
        self.whole.set()


@contextlib.asynccontextmanager
async def cut_line(host: str, port: int) -> AsyncIterator[CutLine]:
    """Carry connections to `host`:`port`."""
    line, tasks = CutLine(), set()
    line.whole.set()

    async def carry(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await line.whole.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader, writer):
        await line.whole.wait()
        with contextlib.suppress(ConnectionError):
            far_reader, far_writer = await asyncio.open_connection(host, port)
            line.writers |= {writer, far_writer}
            both = [asyncio.ensure_future(carry(reader, far_writer)), asyncio.ensure_future(carry(far_reader, writer))]
            tasks.update(both)
            await asyncio.gather(*both, return_exceptions=True)
            line.writers -= {writer, far_writer}

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        line.whole.set()
        server.close()
        for writer in tuple(line.writers):
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
