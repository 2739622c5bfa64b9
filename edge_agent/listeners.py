"""The agent's two small HTTP listeners: sensors on one port, figures on another."""

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


class HttpListener:
    """One listener. `port` is known after `open`; `run` serves until `stop`, which gives open requests 2 s."""

    def __init__(self, what: str, host: str, port: int, routes: Sequence[BaseRoute]) -> None:
        self.what = what
        self.host = host
        self.port = port
        config = uvicorn.Config(
            Starlette(routes=list(routes)),
            log_config=None,
            lifespan="off",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=30,
            limit_concurrency=200,
        )
        self._server = _Server(config)
        self._socket: socket.socket | None = None

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
        """Serve until `stop`; cancelling cuts open requests off."""
        if self._socket is None:
            raise AssertionError("open comes first")
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self.close()

    def stop(self) -> None:
        """Let `run` return after open requests have ended."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back; safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Server(uvicorn.Server):
    """A server that leaves signals to the agent."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
