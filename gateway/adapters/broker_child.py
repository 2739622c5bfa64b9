"""A broker as a supervised child process: lock, left-overs, readiness, restarts.

The child dies with the gateway (PR_SET_PDEATHSIG). A second gateway on the same state directory is refused by the
lock; a broker that an earlier gateway left behind is recognised by the pid file and its command line, and ended.
The port, once chosen, is kept in the state directory, because enrolled nodes remember it.
"""

import asyncio
import ctypes
import fcntl
import logging
import os
import signal
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

from typing_extensions import override

from gateway.ports.broker import Broker, BrokerHealth
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.backoff import Backoff
from protocols.errors import ConfigError

logger = logging.getLogger(__name__)
READY_S = 20.0
STOP_S = 5.0
RETRY_S = (0.2, 10.0)
"""First and longest pause before a dead broker is started again."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> Callable[[], None]:
    """Return what the child runs before its program: it is killed when the gateway ends, however that happens."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the gateway died in between

    return prepare


class ChildBroker(ABC, Broker):
    """Base of the adapters that start a broker of their own. Subclasses write the files and name the command."""

    kind: str
    production: bool

    def __init__(self, folder: Path, host: str, port: int, *, gateway: str, server: TlsFiles, client: TlsFiles) -> None:
        self.folder = folder
        self.host = host
        self.gateway = gateway
        self.server = server
        self._wanted_port = port
        self._client = client
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._guard: asyncio.Task[None] | None = None
        self._lock: IO[str] | None = None
        self._restarts = 0
        self._up = False
        self._last_words = ""

    @abstractmethod
    def prepare(self) -> None:
        """Write the configuration below `folder`; called before each start of the child, in a thread."""

    @abstractmethod
    def command(self) -> tuple[str, ...]:
        """Return the command line; it must contain `config_file`, by which a left-over is recognised."""

    def environment(self) -> dict[str, str]:
        """Return the child's environment."""
        return dict(os.environ)

    @property
    def config_file(self) -> Path:
        """The child's configuration."""
        return self.folder / f"{self.kind}.conf"

    @property
    @override
    def port(self) -> int:
        return self._port

    @property
    @override
    def address(self) -> BrokerAddress:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - compared, not bound
        return BrokerAddress(host, self._port, self._client)

    @property
    @override
    def health(self) -> BrokerHealth:
        return BrokerHealth(self.kind, self.production, self._up, self._restarts, "" if self._up else self._last_words)

    @override
    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._take_folder)
        try:
            await asyncio.to_thread(self.prepare)
            await self._start()
        except BaseException:
            await self._stop()
            raise
        self._guard = asyncio.ensure_future(self._keep_alive())
        self._guard.set_name(f"broker[{self.kind}]")
        return self

    @override
    async def __aexit__(self, *exc: object) -> None:
        if self._guard is not None:
            self._guard.cancel()
            await asyncio.gather(self._guard, return_exceptions=True)
        await self._stop()

    def _take_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise ConfigError(
                f"{self.folder.parent} is in use by another gateway; give each its own state.dir"
            ) from None
        end_left_over(self.folder)
        self._port = self._wanted_port or kept_port(self.folder / "port", self.host)

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self.command(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=self.environment(),
            preexec_fn=die_with_parent(os.getpid()),
        )
        (self.folder / "pid").write_text(str(self._process.pid))
        listening = asyncio.ensure_future(self._relay_log(self._process))
        try:
            await self._wait_ready(self._process)
        except BaseException:
            if self._process.returncode is None:
                self._process.kill()
            await asyncio.gather(listening, self._process.wait(), return_exceptions=True)
            raise
        self._up = True
        logger.info("broker up", extra={"kind": self.kind, "port": self._port, "production": self.production})

    async def _relay_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            raise AssertionError("started with a pipe")
        async for line in process.stderr:
            self._last_words = line.decode(errors="replace").strip()[:300]
            logger.debug("broker says", extra={"kind": self.kind, "line": self._last_words})

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        context = self._client.context()
        address = self.address
        try:
            async with asyncio.timeout(READY_S):
                while process.returncode is None:
                    if await _answers(address.host, address.port, context):
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise ConfigError(f"the broker does not answer on port {self._port}: {self._last_words}") from None
        await asyncio.sleep(0.05)  # its last words are still in the pipe
        raise ConfigError(f"the broker ended at once on port {self._port}: {self._last_words}; see [broker]")

    async def _keep_alive(self) -> None:
        backoff = Backoff(*RETRY_S)
        while True:
            if self._process is None:
                raise AssertionError("started before it is guarded")
            code = await self._process.wait()
            self._up = False
            self._restarts += 1
            logger.warning("broker died", extra={"kind": self.kind, "code": code, "restarts": self._restarts})
            attempt = 0
            while not self._up:
                await asyncio.sleep(backoff.delay(attempt, 0.5))
                attempt += 1
                try:
                    await self._start()
                except (ConfigError, OSError) as error:
                    logger.error("broker does not come back", extra={"kind": self.kind, "error": str(error)})

    async def _stop(self) -> None:
        self._up = False
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        (self.folder / "pid").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


async def _answers(host: str, port: int, context: ssl.SSLContext) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except OSError:
        return False
    writer.close()
    return True


def end_left_over(folder: Path) -> None:
    """End the broker that the pid file names, if it still is one of this folder."""
    file = folder / "pid"
    try:
        pid = int(file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (OSError, ValueError):
        return
    if str(folder) not in command:
        return
    logger.warning("left-over broker ended", extra={"pid": pid})
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        _wait_gone(handle)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _wait_gone(handle: int) -> None:
    import select

    select.select([handle], [], [], STOP_S)  # a pidfd becomes readable when its process has ended


def kept_port(file: Path, host: str) -> int:
    """Return the port of the last start if it is free, else a free one, and keep it."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        port = 0
    for candidate in (port, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
        file.write_text(str(found))
        return found
    raise ConfigError(f"broker.host: {host} is not an address of this machine")
