"""The decoder: a process of its own that turns one key frame into a JPEG, its brightness and a thumbnail.

Started by `stills.py` when a still is wanted, ended after a while without work. A picture that makes the decoder die
or hang costs this process only. Requests and replies go over standard input and output.
"""

import base64
import json
import resource
import signal
import struct
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from gateway.adapters.media_embedded.lineage import die_with_parent, go_before_others
from protocols.aio.figures import figures_of

if TYPE_CHECKING:
    from av import VideoFrame
    from numpy.typing import NDArray

DECODERS = {"h264": "h264", "h265": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "libdav1d"}
"""FFmpeg's decoders by codec; its own one for AV1 works on graphics cards only."""
HEAD = struct.Struct("!4sII")
"""Request: codec (padded with spaces), length of the access unit, width (0: as it is).

Reply: status, lengths of JSON and JPEG.
"""
OK, FAILED = b"good", b"fail"
MAX_UNIT = 8 << 20
MAX_SIDE = 4096
MEMORY = 2 << 30
QUALITY = 4
THUMB = (32, 18)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: size, mean and deviation of luma, the grey thumbnail in hexadecimal, and further figures.

    `figures` are those of `protocols.picture.PictureFigures`, its grain in base 64.
    """

    width: int
    height: int
    mean: float
    deviation: float
    thumb: str
    figures: dict[str, Any]


def decode(codec: str, unit: bytes, width: int = 0) -> tuple[Look, bytes]:
    """Decode one access unit, its JPEG at most `width` wide (0: as it is); raises ValueError where no picture comes."""
    import av

    if codec not in DECODERS:
        raise ValueError("a codec that is not decoded here")
    context: Any = av.VideoCodecContext.create(DECODERS[codec], "r")
    context.thread_count = 1  # threads are begun and ended for each picture, and speed nothing up
    frames = [*context.decode(av.Packet(unit)), *context.decode(None)]
    if not frames:
        raise ValueError("no picture in the access unit")
    frame = frames[-1]
    if not 0 < frame.width <= MAX_SIDE or not 0 < frame.height <= MAX_SIDE:
        raise ValueError("the picture is too large")
    return _look(frame), _jpeg(frame, width)


def _look(frame: "VideoFrame") -> Look:
    import cv2

    luma, blue, red = _planes(frame)
    small = frame.reformat(width=THUMB[0], height=THUMB[1], format="yuv420p", interpolation="AREA").planes[0]
    rows = bytes(small)
    thumb = b"".join(rows[y * small.line_size :][: THUMB[0]] for y in range(THUMB[1]))
    figures = figures_of(luma, blue, red)
    told = asdict(figures) | {"grain": base64.b64encode(figures.grain).decode()}
    mean, deviation = (round(float(value[0, 0]), 2) for value in cv2.meanStdDev(luma))
    return Look(frame.width, frame.height, mean, deviation, thumb.hex(), told)


def _planes(frame: "VideoFrame") -> "list[NDArray[Any]]":
    """Return brightness and the two chroma planes without the padding of their lines."""
    import numpy

    found = []
    for plane in frame.reformat(format="yuv420p").planes:
        lines = numpy.frombuffer(memoryview(plane), numpy.uint8).reshape(-1, plane.line_size)
        found.append(lines[: plane.height, : plane.width])
    return found


def _jpeg(frame: "VideoFrame", width: int) -> bytes:
    import av

    encoder = av.VideoCodecContext.create("mjpeg", "w")
    if 0 < width < frame.width:
        height = max(2, round(frame.height * width / frame.width))
        picture = frame.reformat(width=width, height=height, format="yuvj420p", interpolation="AREA")
    else:
        picture = frame.reformat(format="yuvj420p")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.qmin = encoder.qmax = QUALITY
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until the input ends."""
    while len(head := source.read(HEAD.size)) == HEAD.size:
        codec, length, width = HEAD.unpack(head)
        if length > MAX_UNIT:
            return
        unit = source.read(length)
        try:
            look, jpeg = decode(codec.decode("latin1").strip(), unit, width)
        except Exception as error:  # noqa: BLE001  # whatever a hostile picture raises is that picture's failure
            text = json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}).encode()
            sink.write(HEAD.pack(FAILED, len(text), 0) + text)
        else:
            text = json.dumps(asdict(look)).encode()
            sink.write(HEAD.pack(OK, len(text), len(jpeg)) + text + jpeg)
        sink.flush()


def main() -> None:
    """Run as `python -m gateway.adapters.media_embedded.decoder --parent PID`."""
    die_with_parent(int(sys.argv[2]))
    go_before_others()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import av
    import cv2
    import numpy  # noqa: F401 - loaded before the first picture waits for it

    cv2.setNumThreads(1)  # threads that wait for one another on a busy machine take longer than the work
    av.logging.set_level(av.logging.PANIC)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
