"""Keeps one media worker alive and speaks with it: started, watched, ended, started again."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable

from gateway.adapters.media_embedded.identity import Identity
from gateway.adapters.media_embedded.wire import (
    Alive,
    Answer,
    Ask,
    Configure,
    Figures,
    Measure,
    Reply,
    Request,
    WireError,
    pack_ask,
    read_answer,
)
from protocols.aio.tasks import Supervisor
from protocols.backoff import Backoff
from protocols.errors import ConfigError, LinkError

logger = logging.getLogger(__name__)
START_S = 20.0
REPLY_S = 5.0
WATCH_EVERY_S, SILENT_S = 2.0, 6.0
"""A worker that twice does not answer for so long is stuck: it is killed and replaced."""
FAREWELL_S = 2.0
"""A worker that is let go has this long to say goodbye to its peers."""
MODULE = "gateway.adapters.media_embedded.worker"


class WorkerLink:
    """Start with `async with`; `request` speaks with the worker; `on_event` and `on_lost` are called as things happen.

    `path` is the backend, how many seconds packets are collected, and the compiled backend's library. `on_lost` is
    called when a worker has died, before the next one is started, `on_up` whenever one takes requests. Leaving ends the
    worker.
    """

    def __init__(
        self,
        identity: Identity,
        bind: tuple[str, ...],
        port: int,
        path: tuple[str, float, str],
        on_event: Callable[[Answer], None],
        on_lost: Callable[[], None],
        *,
        tcp: bool,
        uplink_bps: int = 0,
    ) -> None:
        self.port = port
        self._any_port = port == 0
        self.tcp = False
        """Whether the worker takes connections, so that answers may name them."""
        self.restarts = 0
        self.process_id: int | None = None
        self._identity, self._bind, self._path, self._tcp = identity, bind, path, tcp
        self._uplink_bps = uplink_bps
        self.on_up: Callable[[], None] = lambda: None
        self._on_event, self._on_lost = on_event, on_lost
        self._tasks = Supervisor("media worker", backoff=Backoff(base=0.2, cap=5.0, floor=0.05))
        self._writer: asyncio.StreamWriter | None = None
        self._pending: dict[int, asyncio.Future[tuple[Reply, bytes]]] = {}
        self._number = 0
        self._ready = asyncio.Event()
        self._failure = ""
        self._leaving = False

    async def __aenter__(self) -> "WorkerLink":
        """Start the worker; raises ConfigError where it cannot listen, LinkError where it does not start."""
        self._tasks.start("worker", self._live)
        try:
            async with asyncio.timeout(START_S):
                await self._ready.wait()
        except TimeoutError as error:
            await self._tasks.stop()
            raise LinkError(f"the media worker does not start: {self._failure or 'no answer'}") from error
        except BaseException:
            await self._tasks.stop()
            raise
        if self._failure:
            await self._tasks.stop()
            raise ConfigError(self._failure)
        self._tasks.start("watch", self._watch)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._leaving = True
        await self._tasks.stop()

    async def _live(self) -> None:
        """Run one worker from its start to its death; raises WireError at its end."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE, "--control", str(theirs.fileno()), "--parent", str(os.getpid())),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            ours.settimeout(0)
            reader, self._writer = await asyncio.open_connection(sock=ours)
            await self._configure(reader)
            self.process_id = process.pid
            logger.info("media worker up", extra={"pid": process.pid, "port": self.port})
            self.on_up()
            while True:
                answer, block = await read_answer(reader)
                self._dispatch(answer, block)
        finally:
            await self._bury(process)

    async def _configure(self, reader: asyncio.StreamReader) -> None:
        setup = Configure(
            self._identity.certificate,
            self._identity.key,
            self._bind,
            self.port,
            *self._path,
            tcp=self._tcp,
            uplink_bps=self._uplink_bps,
        )
        self._send(Ask(0, setup))
        answer, _ = await read_answer(reader)
        if not isinstance(answer, Reply) or not answer.ok:
            self._failure = f"media port {self.port} on {', '.join(self._bind)} is taken; choose another one"
            self._ready.set()
            if self._any_port:
                self.port = 0  # somebody took ours while the worker was away
            raise WireError(self._failure)
        self.port, self.tcp, self._failure = answer.port, answer.tcp, ""
        if self._tcp and not self.tcp:
            logger.warning("media over TCP is off: another program holds the port", extra={"port": self.port})
        self._ready.set()

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """End the process and whoever waits for it."""
        writer, self._writer = self._writer, None
        was_up, self.process_id = self.process_id is not None, None
        if writer is not None:
            writer.close()
        if self._leaving:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await process.wait()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await _reap(process)
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(LinkError("the media worker died; it is being restarted"))
        self._pending.clear()
        if was_up and not self._leaving:
            self.restarts += 1
            logger.warning("media worker down", extra={"pid": process.pid, "status": process.returncode})
            self._on_lost()

    def _dispatch(self, answer: Answer, block: bytes) -> None:
        if not isinstance(answer, Reply):
            self._on_event(answer)
            return
        waiting = self._pending.pop(answer.number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result((answer, block))

    def _send(self, ask: Ask) -> None:
        if self._writer is None or self._writer.is_closing():
            raise LinkError("the media worker is being restarted; try again in a second")
        self._writer.write(pack_ask(ask))

    async def request(self, request: Request, *, within_s: float = REPLY_S) -> tuple[Reply, bytes]:
        """Ask the worker; raises LinkError where it is down or does not answer in time. Cancelling is safe."""
        self._number += 1
        number = self._number
        waiting: asyncio.Future[tuple[Reply, bytes]] = asyncio.get_running_loop().create_future()
        self._pending[number] = waiting
        try:
            self._send(Ask(number, request))
            async with asyncio.timeout(within_s):
                return await waiting
        except TimeoutError as error:
            raise LinkError("the media worker does not answer") from error
        finally:
            self._pending.pop(number, None)

    async def _watch(self) -> None:
        """Kill a worker that does not answer: `_live` then starts another.

        One silence may be our own: after a long stall of this process the timeout and the answer come together.
        """
        silent: list[int] = []
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            process_id = self.process_id
            if process_id is None:
                continue
            try:
                await self.request(Alive(), within_s=SILENT_S)
            except LinkError:
                silent.append(process_id)
            else:
                silent.clear()
            if silent.count(process_id) >= 2 and self.process_id == process_id and self._writer is not None:
                logger.error("media worker stuck", extra={"pid": process_id})
                silent.clear()
                self._writer.transport.abort()

    async def figures(self) -> Figures:
        """Return the worker's figures; raises LinkError."""
        reply, _ = await self.request(Measure())
        if reply.figures is None:
            raise AssertionError("a reply to Measure has figures")
        return reply.figures


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Wait for a killed process even while being cancelled: else it would stay behind as a zombie."""
    cancelled: asyncio.CancelledError | None = None
    while process.returncode is None:
        try:
            await process.wait()
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
