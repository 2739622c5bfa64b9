"""A line that can be cut: a TCP relay between one agent and its broker, in the hands of the check.

While cut it neither accepts nor forwards, and breaks what was open, as a digger in the road does.
"""

import asyncio
import contextlib


class CutLine:
    """Relays `port` to `target` on loopback. Whole after `mend`; `cut` also serves as its end."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def mend(self) -> None:
        """Accept connections (again)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections and break the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            writer.transport.abort()
        await self._quiet.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._open |= {writer, far_writer}
            self._quiet.clear()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pump(reader, far_writer), name="line up")
                    group.create_task(_pump(far_reader, writer), name="line down")
            finally:
                far_writer.close()
                self._open -= {writer, far_writer}
                if not self._open:
                    self._quiet.set()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    # The other way ends too: half-open links are not what is rehearsed here.
    writer.transport.abort()
