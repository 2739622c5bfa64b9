"""Camera kind `file`: a video file, looped in its own time.

H.264 without B-frames and with key frames at most 4 s apart is passed through; anything else is decoded and encoded
again, as is a file with a rehearsed fault. Which way was taken is logged once a run.
"""

import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from edge_agent.cameras.compressed import CompressedCamera, Passage
from edge_agent.cameras.packets import KEY_FRAMES_APART_S
from edge_agent.cameras.raw import RawCamera
from edge_agent.cameras.source import Camera, CameraError
from edge_agent.settings import CameraSettings
from protocols.aio.h264 import Unit

if TYPE_CHECKING:
    from edge_agent.cameras.raw import Grab

logger = logging.getLogger(__name__)
_PROBE_PACKETS = 3000
_STRETCH_S = 1.0
"""So much of a film is read at a time: a thread that wakes for each picture costs more than the picture."""


def file_camera(settings: CameraSettings, centre: str) -> Camera:
    """Choose the way of a file by looking at its packets."""
    reason = "fault" if settings.fault else why_encode(settings.path)
    logger.info("file camera", extra={"camera": settings.name, "way": "encode" if reason else "pass", "reason": reason})
    return EncodedFileCamera(settings, centre) if reason else PassedFileCamera(settings, centre)


def why_encode(path: Path | None) -> str | None:
    """Return why a file cannot be passed through: codec, b_frames, key_frames_apart, or None where it can.

    An unreadable file gives `unreadable`; the camera then says so as its fault.
    """
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return "no_video"
            stream = container.streams.video[0]
            if stream.codec_context.name != "h264":
                return "codec"
            return _probe(container, stream)
    except (OSError, av.error.FFmpegError):
        return "unreadable"


def _probe(container: Any, stream: Any) -> str | None:
    key_at, newest = None, -1.0
    for number, packet in enumerate(container.demux(stream)):
        if packet.pts is None or number > _PROBE_PACKETS:
            break
        at = float(packet.pts * packet.time_base)
        if at < newest:
            return "b_frames"
        newest = at
        if packet.is_keyframe:
            key_at = at
        if key_at is None or at - key_at > KEY_FRAMES_APART_S:
            return "key_frames_apart"
    return None


def _opened(path: Path | None) -> Any:
    import av

    try:
        container = av.open(str(path))
    except (OSError, av.error.FFmpegError) as error:
        raise CameraError("unreadable", f"{path}: {error.strerror}") from None
    if not container.streams.video:
        container.close()
        raise CameraError("no_video", f"{path}: no video in it")
    return container


class PassedFileCamera(CompressedCamera):
    """Plays the packets of the file in their time."""

    @override
    def work(self) -> None:
        while not self.stopping.is_set():
            with _opened(self.settings.path) as container:
                self._play(container, container.streams.video[0])

    def _play(self, container: Any, stream: Any) -> None:
        stretch: list[Unit] = []
        for unit in self._units(container, stream):
            stretch.append(unit)
            if unit.arrived - stretch[0].arrived >= _STRETCH_S:
                if self._stopped_after(stretch):
                    return
                stretch = []
        if not self._stopped_after(stretch):
            self.stopping.wait(1 / 25)

    def _units(self, container: Any, stream: Any) -> Iterator[Unit]:
        """Yield the pictures, each with the moment at which it is due as its arrival."""
        import av

        convert = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        began, base = time.monotonic(), self.base_pts()
        passage, first, tick = Passage(b"", base), None, float(stream.time_base)
        for packet in container.demux(stream):
            ready_packets: list[Any] = convert.filter(packet if packet.pts is not None else None)
            for ready in ready_packets:
                at = ready.pts * tick
                first = at if first is None else first
                unit = passage.unit(ready, began + at - first)
                if unit is not None:
                    yield unit

    def _stopped_after(self, stretch: list[Unit]) -> bool:
        """Hand a stretch over and wait until its last picture is due; tells whether the camera is to stop."""
        if not stretch:
            return self.stopping.is_set()
        self.pump_when_due(stretch)
        return self.stopping.wait(max(0.0, stretch[-1].arrived - time.monotonic()))


class EncodedFileCamera(RawCamera):
    """Decodes the file in its time; decodes everything, because pictures depend on each other."""

    @override
    def grabs(self) -> Iterator["Grab"]:
        while not self.stopping.is_set():
            with _opened(self.settings.path) as container:
                stream = container.streams.video[0]
                stream.thread_type = "NONE"
                yield from self._frames(container, stream)

    def _frames(self, container: Any, stream: Any) -> Iterator["Grab"]:
        began, first = time.monotonic(), None
        for frame in container.decode(stream):
            at = frame.time if frame.time is not None else 0.0
            first = at if first is None else first
            if self.stopping.wait(max(0.0, began + at - first - time.monotonic())):
                return
            yield partial(_picture, frame)


def _picture(frame: Any) -> Any:
    return frame.to_ndarray(format="bgr24", width=frame.width // 2 * 2, height=frame.height // 2 * 2)
