"""The recorder: a process of its own that writes recordings from the packets that workers copy to it.

Started by `recordings.py` with the first recording, ended with its parent. What makes it die costs no picture that is
forwarded: the recordings go on in new parts. Orders come as JSON lines over standard input, news go out the same way;
packets come over a socket of its own, one connection for each tap.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.lineage import die_with_parent
from gateway.adapters.media_embedded.recording_file import Part, PartError, parameters_of
from gateway.adapters.media_embedded.rules.assembly import Assembler, Frame
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.tapping import AUDIO, VIDEO, Reader, Record
from gateway.adapters.media_embedded.rules.timeline import Timeline

logger = logging.getLogger(__name__)
EVERY_S = 1.0
"""Files are brought to the disk, and control hears how they grow, as often."""
SOUND_WITHIN_S = 1.5
"""A file begins when its sound is there too, or after so long without one."""
SOUND_ALONE_S = 3.0
"""A stream that gives sound and no picture for so long is recorded as sound."""
READ = 1 << 18
LAST_PACKETS_S = 1.0


class Recording:
    """One recording: feed `records`; `finish` closes it. `reason` is set when it ended by itself."""

    def __init__(self, name: str, stem: Path) -> None:
        self.name, self.stem = name, stem
        self.files: list[str] = []
        self.reason = ""
        self.taps = 0
        self._assemblers = {VIDEO: Assembler(VIDEO), AUDIO: Assembler(AUDIO)}
        self._timeline: Timeline | None = None
        self._part: Part | None = None
        self._zero = 0.0
        self._held: list[tuple[Frame, float]] = []
        self._held_since = 0.0
        self._done = (0.0, 0)
        self._sound = False

    @property
    def figures(self) -> dict[str, Any]:
        """Return what control is told."""
        part = self._part
        seconds = self._done[0] + (part.seconds if part is not None else 0.0)
        octets = self._done[1] + (part.octets if part is not None else 0)
        lost = sum(assembler.lost for assembler in self._assemblers.values())
        return {
            "recording": self.name,
            "seconds": round(seconds, 3),
            "octets": octets,
            "lost": lost,
            "files": self.files,
        }

    def records(self, records: list[Record], now: float) -> None:
        """Take packets; raises PartError where nothing can be written any more."""
        for record in records:
            if self._timeline is None:
                self._timeline = Timeline(record.at)
            if record.report:
                self._timeline.report(record.track, record.generation, record.number, record.timestamp)
                continue
            for frame in self._assemblers[record.track].feed(record):
                self._frame(frame, self._timeline, now)
        if self._part is None and self._held:
            self._begin(now)

    def _frame(self, frame: Frame, timeline: Timeline, now: float) -> None:
        seconds = timeline.place(frame.track, frame.generation, frame.timestamp, frame.at)
        self._sound = self._sound or frame.track == AUDIO
        part = self._part
        if part is not None and self._fits(part, frame):
            part.add(frame, seconds - self._zero)
            return
        if part is not None:
            self._close_part()
        if not self._held:
            self._held_since = now
        if frame.track == AUDIO or _opens(frame) or any(_opens(held) for held, _ in self._held):
            self._held.append((frame, seconds))
            self._begin(now)

    def _fits(self, part: Part, frame: Frame) -> bool:
        """Tell whether a frame goes on in this part: a picture with other parameters and a new sound need the next."""
        if frame.track == AUDIO or not frame.key:
            return True
        found = parameters_of(frame)
        same = found == part.parameters if found else frame.codec == part.codec
        return same and part.audio == (self._sound or part.audio)

    def _begin(self, now: float) -> None:
        """Open the next part once it is known what it holds."""
        waited = now - self._held_since
        place = next((n for n, (frame, _) in enumerate(self._held) if _opens(frame)), None)
        if place is None and not (self._sound and waited > SOUND_ALONE_S):
            return
        if place is not None and not self._sound and waited < SOUND_WITHIN_S:
            return
        first, zero = self._held[place or 0]
        key = None if place is None else first
        self._part = Part.begin(self.stem, key, audio=self._sound)
        self._zero = zero
        self.files.append(self._part.path.name)
        held, self._held = self._held, []
        for frame, seconds in held:
            self._part.add(frame, seconds - zero)

    def descriptor(self) -> int | None:
        """Return a descriptor of the open file, to be synced and closed by the caller; None between two files."""
        return self._part.duplicate() if self._part is not None else None

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        try:
            part.close()
        finally:
            self._done = self._done[0] + part.seconds, self._done[1] + part.octets

    def finish(self, reason: str) -> None:
        """Write what waits and close the file."""
        if self.reason:
            return
        try:
            for assembler in self._assemblers.values():
                for frame in assembler.drain():
                    if self._timeline is not None:
                        self._frame(frame, self._timeline, moment.now() + SOUND_ALONE_S)
            if self._part is None and self._held:
                self._begin(moment.now() + 2 * SOUND_ALONE_S)
            self._close_part()
        except PartError as error:
            reason = error.reason
            logger.error("recording not closed: %s", error)
        self.reason = reason if self.files or reason != "closed" else "source_gone"

    def fail(self, error: PartError) -> None:
        """End a recording that cannot be written; what it has stays."""
        self._held.clear()
        with contextlib.suppress(PartError):
            self._close_part()
        self._part = None
        self.reason = error.reason


def _opens(frame: Frame) -> bool:
    return frame.track == VIDEO and frame.key and bool(parameters_of(frame))


class Recorder:
    """All recordings of one engine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recordings: dict[str, Recording] = {}
        self._connections: dict[str, asyncio.Event] = {}

    async def serve(self, orders: asyncio.StreamReader) -> None:
        """Carry out orders until they end."""
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._connected, self._path, limit=READ)
        self._path.chmod(0o600)
        _say({"op": "ready"})
        async with server, asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep(), name="disk")
            while line := await orders.readline():
                order = json.loads(line)
                if order["op"] == "start":
                    self._recordings[order["recording"]] = Recording(order["recording"], Path(order["stem"]))
                elif order["op"] == "stop":
                    group.create_task(self._stop(order["recording"]), name="stop")
            keeper.cancel()
        for recording in self._recordings.values():
            recording.finish("closed")

    async def _stop(self, name: str) -> None:
        """Close a recording; its last packets, which the worker sent before it hung up, are waited for."""
        recording = self._recordings.get(name)
        gone = self._connections.get(name)
        if gone is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_PACKETS_S):
                    await gone.wait()
        if recording is not None:
            recording.finish("closed")
            self._tell_end(recording)

    def _tell_end(self, recording: Recording) -> None:
        if self._recordings.pop(recording.name, None) is not None:
            _say({"op": "ended", "reason": recording.reason, **recording.figures})

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = ""
        gone = asyncio.Event()
        try:
            name = (await reader.readline()).decode("latin1").strip()
            self._connections[name] = gone
            recording = self._recordings.get(name)
            if recording is not None:
                recording.taps += 1
            parser = Reader(0 if recording is None else recording.taps)
            while recording is not None and not recording.reason and (data := await reader.read(READ)):
                self._take(recording, parser, data)
        except (ConnectionError, ValueError, MalformedError) as error:
            logger.error("tap of %s broken: %s", name, error)
        finally:
            gone.set()
            if self._connections.get(name) is gone:
                del self._connections[name]
            writer.close()

    def _take(self, recording: Recording, parser: Reader, data: bytes) -> None:
        try:
            recording.records(parser.feed(data), moment.now())
        except PartError as error:
            logger.error("recording %s ends: %s", recording.name, error)
            recording.fail(error)
            self._tell_end(recording)

    async def _keep(self) -> None:
        """Bring files to the disk and tell control how they grow."""
        while True:
            await asyncio.sleep(EVERY_S)
            for recording in list(self._recordings.values()):
                try:
                    await asyncio.to_thread(_sync, recording.descriptor())
                except OSError as error:
                    recording.fail(PartError(error))
                    self._tell_end(recording)
            _say({"op": "grown", "recordings": [one.figures for one in self._recordings.values()]})


def _sync(descriptor: int | None) -> None:
    if descriptor is None:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _say(news: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


async def run(path: Path) -> None:
    """Serve until standard input ends."""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await Recorder(path).serve(orders)


def main() -> None:
    """Run as `python -m gateway.adapters.media_embedded.recorder --socket PATH --parent PID`."""
    parser = argparse.ArgumentParser(description="recorder; started by the gateway")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # control decides
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s recorder %(levelname)s %(message)s")
    import av

    av.logging.set_level(av.logging.PANIC)
    asyncio.run(run(arguments.socket))


if __name__ == "__main__":
    main()
