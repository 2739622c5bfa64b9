"""One file of a recording: packets muxed without decoding into fragmented MP4, or Matroska for VP8, which MP4 has not.

**What was written stays playable whenever the process dies**: MP4 fragments and Matroska clusters of at most a second
are written whole, and whoever holds a part brings them to the disk.
"""

import contextlib
import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from gateway.adapters.media_embedded.rules import access_unit
from gateway.adapters.media_embedded.rules.assembly import Frame
from gateway.adapters.media_embedded.rules.malformed import MalformedError

MUXED = {"h264": "h264", "h265": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "av1"}
"""FFmpeg's names of the codecs."""
OPTIONS = {
    "mp4": {
        "movflags": "empty_moov+delay_moov+default_base_moof+frag_keyframe",
        "frag_duration": "1000000",
        "flush_packets": "1",
        "max_interleave_delta": "500000",
    },
    "matroska": {"cluster_time_limit": "1000", "flush_packets": "1", "max_interleave_delta": "500000"},
}
"""Fragments and clusters of a second; a track that pauses holds the other one back for half a second at most."""
VIDEO_BASE, AUDIO_BASE = Fraction(1, 90_000), Fraction(1, 48_000)
OPUS_S = 0.02
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MAX_PARTS = 10_000


class PartError(Exception):
    """The file cannot be written; `reason` is that of `RecordingEnded`."""

    def __init__(self, error: BaseException) -> None:
        full = isinstance(error, OSError) and error.errno in FULL
        self.reason = "disk" if full else "failed"
        super().__init__(f"{type(error).__name__}: {error}")


def parameters_of(frame: Frame) -> bytes:
    """Return what a file of this key frame must agree in: codec and parameter sets; empty where they are missing."""
    return access_unit.parameters(frame.codec, frame.data)


class _File:
    """What PyAV writes into: remembers the first error, never overwrites another file.

    **Fragments reach the disk whole**: what one call of the library writes is kept until `flush`, written at once, and
    taken back where the disk has no room for all of it.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.error: OSError | None = None
        self.octets = 0
        self._kept = bytearray()
        self._file = path.open("xb", buffering=0)

    def write(self, data: bytes) -> int:
        """Keep it until `flush`."""
        self._kept += data
        return len(data)

    def flush(self) -> None:
        """Write what is kept; raises OSError."""
        if not self._kept:
            return
        data, self._kept = self._kept, bytearray()
        begin = self._file.tell()
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            self.error = self.error or error
            if begin >= self.octets:
                self._file.truncate(begin)
            raise
        self.octets = max(self.octets, self._file.tell())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place; raises OSError."""
        self.flush()
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell() + len(self._kept)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Part:
    """Open with `Part.begin`; `add` frames with their seconds from the part's beginning; `close` once."""

    def __init__(self, path: Path, key: Frame | None, *, audio: bool) -> None:
        self.path = path
        self.codec = "" if key is None else key.codec
        self.parameters = b"" if key is None else parameters_of(key)
        self.audio = audio
        self.seconds = 0.0
        self._size = (0, 0) if key is None else _size(key)
        try:
            self._file = _File(path)
            _sync_directory(path.parent)
        except OSError as error:
            raise PartError(error) from error
        import av

        form = "matroska" if path.suffix == ".mkv" else "mp4"
        self._container: Any = av.open(self._file, "w", format=form, options=OPTIONS[form])
        self._video = self._audio = None
        if key is not None:
            width, height = self._size
            self._video = self._container.add_mux_stream(MUXED[key.codec], width=width, height=height)
            self._video.time_base = VIDEO_BASE
        if audio:
            self._audio = self._container.add_stream("libopus", rate=48_000)
        self._last: dict[int, int] = {}

    @classmethod
    def begin(cls, stem: Path, key: Frame | None, *, audio: bool) -> "Part":
        """Open the next free name of a recording: `stem.mp4`, `stem.2.mp4`, ...; raises PartError."""
        suffix = ".mkv" if key is not None and key.codec == "vp8" else ".mp4"
        for number in range(1, MAX_PARTS):
            middle = "" if number == 1 else f".{number}"
            if any(stem.with_name(f"{stem.name}{middle}{end}").exists() for end in (".mp4", ".mkv")):
                continue
            return cls(stem.with_name(f"{stem.name}{middle}{suffix}"), key, audio=audio)
        raise PartError(OSError(errno.EEXIST, "too many parts"))

    @property
    def octets(self) -> int:
        """Return the file's length."""
        return self._file.octets

    def add(self, frame: Frame, seconds: float) -> None:
        """Write a frame; what lies before the part's beginning or has no track here is left out. Raises PartError."""
        video = frame.codec != "opus"
        stream, base = (self._video, VIDEO_BASE) if video else (self._audio, AUDIO_BASE)
        if stream is None or seconds < 0:
            return
        import av

        packet = av.Packet(frame.data)
        packet.stream = stream
        packet.time_base = base
        at = max(round(seconds / base), self._last.get(frame.track, -1) + 1)
        self._last[frame.track] = at
        packet.pts = packet.dts = at
        packet.is_keyframe = frame.key
        if not video:
            packet.duration = round(OPUS_S / AUDIO_BASE)
        self._guarded(lambda: self._container.mux_one(packet))
        self.seconds = max(self.seconds, float(at * base))

    def _guarded(self, work: Any) -> None:
        try:
            work()
            self._file.flush()
        except Exception as error:  # the library raises its own errors, and ours through its callback
            raise PartError(self._file.error or error) from error
        if self._file.error is not None:
            raise PartError(self._file.error)

    def duplicate(self) -> int:
        """Return a second descriptor of the file, so that another thread can sync it whatever happens to this one."""
        return os.dup(self._file.fileno())

    def close(self) -> None:
        """Write the end and close. Raises PartError; the file is closed all the same and plays to its last fragment."""
        try:
            self._guarded(self._container.close)
            self._guarded(lambda: os.fsync(self._file.fileno()))
        finally:
            self._file.close()


def _size(key: Frame) -> tuple[int, int]:
    try:
        return access_unit.size(key.codec, key.data)
    except MalformedError as error:
        raise PartError(error) from error


def _sync_directory(path: Path) -> None:
    with contextlib.suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
