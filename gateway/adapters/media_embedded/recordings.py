"""Control's side of recordings: keeps the recorder alive, and every recording tapped, over all deaths.

**A recording ends when it is told to, or when it cannot be written.** A recorder or worker that dies interrupts it: it
goes on in a new part, and that is logged.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.adapters.media_embedded.wire import Reply, Tap, Untap
from gateway.ports.media import Layer, RecordingEnded, RecordingFigures
from protocols.aio.tasks import Supervisor
from protocols.backoff import Backoff
from protocols.errors import ConfigError, LinkError, NotFoundError

logger = logging.getLogger(__name__)
MODULE = "gateway.adapters.media_embedded.recorder"
START_S = 20.0
STOP_S = 10.0
AGAIN_S = 0.2
"""Pause between two tries to tap a stream while worker or recorder are being replaced."""
LONGEST_SOCKET = 100
"""A path longer than this does not fit into a socket's address."""
LINE = 1 << 20

Ask = Callable[[str, Tap | Untap], Awaitable[Reply]]


@dataclass(slots=True)
class _Recording:
    """One recording as control knows it; `before` are the figures of recorders that died."""

    name: str
    stream: str
    stem: Path
    layer: Layer
    seconds: float = 0.0
    octets: int = 0
    lost: int = 0
    files: tuple[str, ...] = ()
    before: tuple[float, int, int, tuple[str, ...]] = (0.0, 0, 0, ())
    ended: asyncio.Future[RecordingEnded] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def grown(self, news: dict[str, Any]) -> None:
        """Take the recorder's figures."""
        seconds, octets, lost, files = self.before
        self.seconds, self.octets = seconds + news["seconds"], octets + news["octets"]
        self.lost, self.files = lost + news["lost"], (*files, *news["files"])

    def interrupted(self) -> None:
        """Note that the recorder died."""
        self.before = self.seconds, self.octets, self.lost, self.files

    def over(self, reason: str) -> RecordingEnded:
        """Return the end as an event."""
        return RecordingEnded(
            self.name, self.stream, reason, round(self.seconds, 3), self.octets, self.lost, self.files
        )


class Recordings:
    """`ask(stream, request)` speaks with the worker that has the stream; `ended` is told of every end."""

    def __init__(self, state_dir: Path, ask: Ask, ended: Callable[[RecordingEnded], None]) -> None:
        self._state_dir = state_dir
        self._ask, self._ended = ask, ended
        self._recordings: dict[str, _Recording] = {}
        self._tasks = Supervisor("recordings", backoff=Backoff(base=0.2, cap=5.0, floor=0.05))
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._socket: Path | None = None
        self.restarts = 0

    @property
    def process_id(self) -> int | None:
        """Process id of the living recorder."""
        return self._process.pid if self._process is not None else None

    def figures(self) -> tuple[RecordingFigures, ...]:
        """Return what runs, at most a second old."""
        return tuple(
            RecordingFigures(one.name, one.stream, round(one.seconds, 3), one.octets, one.lost, one.files)
            for one in self._recordings.values()
        )

    async def start(self, stream: str, path: Path, layer: Layer) -> str:
        """See `MediaEngine.record`."""
        stem = path.with_suffix("") if path.suffix in {".mp4", ".mkv"} else path
        if not stem.parent.is_dir() or not os.access(stem.parent, os.W_OK):
            raise ConfigError(f"recordings cannot be written into {stem.parent}; make it writable")
        recording = _Recording(secrets.token_hex(8), stream, stem, layer)
        if not self._tasks.running("recorder"):
            self._tasks.start("recorder", self._live)
        try:
            async with asyncio.timeout(START_S):
                await self._ready.wait()
        except TimeoutError as error:
            raise LinkError("the recorder does not start; the log says why") from error
        self._recordings[recording.name] = recording
        self._order("start", recording)
        self._tap(recording)
        return recording.name

    async def stop(self, name: str) -> RecordingEnded:
        """See `MediaEngine.stop_recording`."""
        recording = self._recordings.get(name)
        if recording is None:
            raise NotFoundError("no such recording; it may have ended by itself")
        await self._tasks.cancel(f"tap[{name}]")
        with contextlib.suppress(LinkError):
            await self._ask(recording.stream, Untap(name))
        self._order("stop", recording)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                return await asyncio.shield(recording.ended)
        return self._over(recording, "failed")

    async def clip(self, stream: str, path: Path, seconds: float, layer: Layer) -> RecordingEnded:
        """See `MediaEngine.clip`."""
        name = await self.start(stream, path, layer)
        recording = self._recordings[name]
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(recording.ended)
        except TimeoutError:
            return await self.stop(name)
        except asyncio.CancelledError:
            with contextlib.suppress(NotFoundError):
                await self.stop(name)
            raise

    def worker_lost(self, streams: Container[str]) -> None:
        """Tap these streams anew: the worker that had the taps is gone."""
        for recording in self._recordings.values():
            if recording.stream not in streams:
                continue
            logger.warning("recording interrupted", extra={"stream": recording.stream, "reason": "worker_lost"})
            self._tap(recording)

    async def close(self) -> None:
        """End all recordings and the recorder; files are closed."""
        for name in list(self._recordings):
            with contextlib.suppress(NotFoundError):
                await self.stop(name)
        await self._tasks.stop()

    def _tap(self, recording: _Recording) -> None:
        name = f"tap[{recording.name}]"
        if not self._tasks.running(name):
            self._tasks.start(name, lambda: self._tap_until_it_holds(recording), restart=False)

    async def _tap_until_it_holds(self, recording: _Recording) -> None:
        while recording.name in self._recordings:
            await self._ready.wait()
            try:
                reply = await self._ask(
                    recording.stream, Tap(recording.name, recording.stream, recording.layer, str(self._socket))
                )
            except LinkError:
                reply = None
            if reply is not None and reply.ok:
                return
            await asyncio.sleep(AGAIN_S)

    def _order(self, op: str, recording: _Recording) -> None:
        if self._process is None or self._process.stdin is None:
            return  # it is being replaced, and is then told of all recordings that there are
        order = {"op": op, "recording": recording.name, "stem": str(recording.stem)}
        self._process.stdin.write((json.dumps(order) + "\n").encode())

    async def _live(self) -> None:
        """Run one recorder from its start to its death; raises LinkError at its end."""
        with contextlib.ExitStack() as spare:
            self._socket = self._state_dir / "recorder.sock"
            if len(os.fsencode(self._socket)) >= LONGEST_SOCKET:
                folder = spare.enter_context(tempfile.TemporaryDirectory(prefix="silian-recorder-"))
                self._socket = Path(folder) / "recorder.sock"
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE, "--socket", str(self._socket), "--parent", str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE,
            )
            try:
                await self._follow(process)
            finally:
                await self._bury(process)
        raise LinkError("the recorder died")

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise AssertionError("the recorder was started with pipes")
        while line := await process.stdout.readline():
            news = json.loads(line)
            match news["op"]:
                case "ready":
                    self._up(process)
                case "grown":
                    for one in news["recordings"]:
                        if (recording := self._recordings.get(one["recording"])) is not None:
                            recording.grown(one)
                case "ended":
                    if (recording := self._recordings.get(news["recording"])) is not None:
                        recording.grown(news)
                        self._over(recording, news["reason"])
                case unknown:
                    raise AssertionError(f"the recorder says nothing like {unknown!r}")

    def _up(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        logger.info("recorder up", extra={"pid": process.pid})
        for recording in self._recordings.values():
            self._order("start", recording)
        self._ready.set()
        for recording in self._recordings.values():
            self._tap(recording)

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        self._process = None
        self._ready.clear()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        if self._recordings:
            self.restarts += 1
        for recording in self._recordings.values():
            recording.interrupted()
            logger.warning("recording interrupted", extra={"stream": recording.stream, "reason": "recorder_lost"})

    def _over(self, recording: _Recording, reason: str) -> RecordingEnded:
        ended = recording.over(reason)
        if self._recordings.pop(recording.name, None) is not None:
            logger.info("recording over", extra={"stream": ended.stream, "reason": reason, "seconds": ended.seconds})
            if not recording.ended.done():
                recording.ended.set_result(ended)
            self._ended(ended)
            if reason != "closed":
                self._untap_later(recording)
        return ended

    def _untap_later(self, recording: _Recording) -> None:
        async def untap() -> None:
            with contextlib.suppress(LinkError):
                await self._ask(recording.stream, Untap(recording.name))

        self._tasks.start(f"untap[{recording.name}]", untap, restart=False)
