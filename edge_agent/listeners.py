"""The agent's two small HTTP listeners: sensors on one port, figures on another."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from typing_extensions import override

from protocols.errors import ConfigError

logger = logging.getLogger(__name__)
_LOOK_S = 1.0
"""The date in the answers' heads is made anew so often."""


class HttpListener:
    """One listener. `open` takes the port, `run` serves until `stop`, which gives open requests 2 s."""

    def __init__(self, what: str, host: str, port: int, routes: Sequence[BaseRoute]) -> None:
        self.what = what
        self.host = host
        self.port = port
        """The real one after `open`."""
        self._site = Starlette(routes=list(routes))
        self._server = self._new_server()
        self._socket: socket.socket | None = None
        self._stopping = False
        self._ended = asyncio.Event()

    def _new_server(self) -> "_Server":
        return _Server(
            uvicorn.Config(
                self._site,
                log_config=None,
                lifespan="off",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
                timeout_keep_alive=30,
                limit_concurrency=200,
            )
        )

    def open(self) -> None:
        """Take the port; raises ConfigError naming the key where it is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
            listener.listen(128)  # who comes before `run` waits instead of being refused
        except OSError as error:
            listener.close()
            raise ConfigError(
                f"{self.what}.port {self.port} on {self.host}: {error.strerror}; choose another"
            ) from None
        self._socket = listener
        self.port = listener.getsockname()[1]
        logger.info("listening", extra={"listener": self.what, "host": self.host, "port": self.port})

    async def run(self) -> None:
        """Serve until `stop`; after a crash it may be run again. Cancelling cuts open requests off."""
        if self._stopping:
            return
        if self._socket is None:
            self.open()
            self._server = self._new_server()
        self._ended.clear()
        try:
            await self._server.serve(sockets=[self._socket] if self._socket else None)
        finally:
            self.close()
            self._ended.set()

    async def stop(self) -> None:
        """End `run` once open requests have ended, at most 2 s; returns when that is done."""
        self._stopping = True
        self._server.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4.0):
                await self._ended.wait()

    def close(self) -> None:
        """Give the port back; safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Server(uvicorn.Server):
    """A server that leaves signals to the agent, and looks at its clock each second instead of ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Let `serve` end."""
        self.should_exit = True
        self._ending.set()

    @override
    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._ending.wait()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
