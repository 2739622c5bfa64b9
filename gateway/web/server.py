"""uvicorn inside the gateway's own loop: no signal handling, port 0 allowed, the real port known once it listens."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from protocols.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger(__name__)
DRAIN_S = 5
"""Time that open requests have to end once the server stops."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen. `certificate` and `key` (PEM files) make it TLS. X-Forwarded-* is believed of `proxies`."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()


def bind(host: str, port: int, name: str) -> socket.socket:
    """Bind a TCP socket; raises ConfigError where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ConfigError(f"{name}: cannot listen on {host}:{port}: {error.strerror}; choose another port") from None
    return sock


class HttpServer:
    """Serve an ASGI application with `async with`; leaving lets open requests end, then closes. Cancelling is safe."""

    def __init__(self, app: Any, listen: Listen, name: str = "http") -> None:
        self._app = app
        self._listen = listen
        self._name = name
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.port = listen.port

    async def __aenter__(self) -> Self:
        sock = bind(self._listen.host, self._listen.port, self._name)
        self.port = int(sock.getsockname()[1])
        self._server = server = _quiet_server(self._app, self._listen)
        self._task = task = asyncio.ensure_future(server.serve([sock]))
        task.set_name(f"http[{self._name}]")
        while not server.started:
            if task.done():
                task.result()
                raise AssertionError("uvicorn ended before it had started")
            await asyncio.sleep(0.005)
        logger.info("listening", extra={"server": self._name, "host": self._listen.host, "port": self.port})
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task


def _quiet_server(app: Any, listen: Listen) -> "uvicorn.Server":
    import uvicorn
    from typing_extensions import override

    class Server(uvicorn.Server):
        @contextmanager
        @override
        def capture_signals(self) -> Iterator[None]:
            yield  # SIGTERM belongs to gateway.app, which drains in its own order

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=bool(listen.proxies),
        forwarded_allow_ips=list(listen.proxies),
        timeout_graceful_shutdown=DRAIN_S,
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
        ws="none",
    )
    return Server(config)
