"""Links that can be cut where there is no private network: relays on loopback through which packets stop passing.

Nobody is told, as with a cut fibre: connections stay open and silent, new ones are taken and lead nowhere, until the
link is whole again. Then what was open over the old fibre breaks.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Self


class Relay:
    """Carries connections to `target`, a port of loopback, once that is known. Use it with `async with`."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self._whole = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._whole.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        self._whole.set()
        while self._tasks:  # what connects just now is broken at the next look
            self._break()
            await asyncio.wait(self._tasks, timeout=0.1)

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Let nothing pass while the context lasts."""
        self._whole.clear()
        try:
            yield
        finally:
            self._break()
            self._whole.set()

    def _break(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._open.add(writer)
        try:
            await self._whole.wait()
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
                self._open.add(far_writer)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._carry(reader, far_writer), name="relay up")
                        group.create_task(self._carry(far_reader, writer), name="relay down")
                finally:
                    far_writer.close()
                    self._open.discard(far_writer)
        finally:
            writer.close()
            self._open.discard(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        # The other way ends too: half-open links are not what is rehearsed here.
        writer.transport.abort()
