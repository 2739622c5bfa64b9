"""Key frames to pictures, through a decoder process that is started when one is wanted and ended when idle."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.adapters.media_embedded.decoder import FAILED, HEAD, MAX_UNIT, Look
from protocols.aio.tasks import Supervisor
from protocols.errors import BadMediaError, SilianError

logger = logging.getLogger(__name__)
IDLE_S = 60.0
WARM_AFTER_S = 3.0
"""A stream that is live for so long has the decoder started, so that its first still waits for no start."""
DECODE_S = 10.0
MODULE = "gateway.adapters.media_embedded.decoder"

Fetch = Callable[[], Awaitable[tuple[str, bytes]]]
"""Brings codec and access unit (see `rules.access_unit`)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture."""

    look: Look
    jpeg: bytes


class Stills:
    """`decode` one at a time, in the order of asking; `close` ends the process. `watch` keeps it warm for live streams.

    A decoder that dies or hangs is replaced at the next picture. Who asks and goes away costs nothing if its turn had
    not come, and never the decoder, for which others wait: starting one takes as long as many pictures.
    """

    def __init__(self) -> None:
        self.started = 0
        self._process: asyncio.subprocess.Process | None = None
        self._ahead, self._one = asyncio.Lock(), asyncio.Lock()
        self._asked = 0
        self._waiting: set[asyncio.Future[Picture]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._live: set[str] = set()
        self._warm: asyncio.TimerHandle | None = None
        self._tasks = Supervisor("stills")

    def watch(self, stream: str, *, live: bool) -> None:
        """Note that a stream is live, or no longer."""
        if not live:
            self._live.discard(stream)
            return
        self._live.add(stream)
        if self._warm is None:
            self._warm = asyncio.get_running_loop().call_later(WARM_AFTER_S, self._warm_up)

    def _warm_up(self) -> None:
        self._warm = None
        if self._live and not self._one.locked() and not self._tasks.running("warm up"):
            self._tasks.start("warm up", self._start_early, restart=False)

    async def _start_early(self) -> None:
        async with self._one:
            await self._running()
        self._rest()

    def _rest(self) -> None:
        """Let the decoder end after a while without work."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._retire)

    async def decode(self, fetch: Fetch, width: int = 0) -> Picture:
        """Decode what `fetch` brings when its turn has come, its JPEG at most `width` wide (0: as it is).

        Raises BadMediaError where no picture comes out, and what `fetch` raises. Cancelling is safe.
        """
        answer: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
        self._asked += 1
        self._waiting.add(answer)
        self._tasks.start(f"decode {self._asked}", lambda: self._in_turn(fetch, width, answer), restart=False)
        try:
            return await answer
        finally:
            self._waiting.discard(answer)

    async def _in_turn(self, fetch: Fetch, width: int, answer: "asyncio.Future[Picture]") -> None:
        try:
            picture = await self._fetched_and_decoded(fetch, width, answer)
        except SilianError as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if picture is not None and not answer.done():
                answer.set_result(picture)

    async def _fetched_and_decoded(self, fetch: Fetch, width: int, answer: "asyncio.Future[Picture]") -> Picture | None:
        # The next one is fetched while the one before it is decoded, so that the decoder never waits for a worker.
        async with self._ahead:
            if answer.done():
                return None
            codec, unit = await fetch()
            await self._one.acquire()
        try:
            if answer.done():
                return None
            if self._idle is not None:
                self._idle.cancel()
            return await self._decoded(codec, unit, width)
        finally:
            self._one.release()
            self._rest()

    async def _decoded(self, codec: str, unit: bytes, width: int) -> Picture:
        if len(unit) > MAX_UNIT:
            raise BadMediaError("the access unit is too long for the decoder")
        try:
            async with asyncio.timeout(DECODE_S):
                return await self._ask(await self._running(), codec, unit, width)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            await self._end()
            raise BadMediaError(f"the decoder gave no picture: {type(error).__name__}") from error

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self.started += 1
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE, "--parent", str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            logger.info("decoder up", extra={"pid": self._process.pid})
        return self._process

    @staticmethod
    async def _ask(process: asyncio.subprocess.Process, codec: str, unit: bytes, width: int) -> Picture:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("the decoder was started with pipes")
        process.stdin.write(HEAD.pack(codec.encode().ljust(4), len(unit), width) + unit)
        await process.stdin.drain()
        status, length, size = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
        text = json.loads(await process.stdout.readexactly(length))
        if status == FAILED:
            raise BadMediaError(f"the key frame does not decode: {text['error']}")
        return Picture(Look(**text), await process.stdout.readexactly(size))

    def _retire(self) -> None:
        """Let an idle decoder end, unless something is live: it leaves at the end of its input."""
        if self._live:
            self._rest()
            return
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def close(self) -> None:
        """End the decoder; whoever waits is told so by BadMediaError."""
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(BadMediaError("the decoder was closed"))
        for timer in (self._idle, self._warm):
            if timer is not None:
                timer.cancel()
        await self._tasks.stop()
        await self._end()
