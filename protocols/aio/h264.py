"""H.264 as bytes: access units in Annex B form, and one real-time encoder.

`Unit` is what cameras hand to publishers: one whole picture, start codes between its NAL units, parameter sets in
front of every key frame, so that a viewer can start at any key frame (ITU-T H.264 Annex B).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLOCK = 90_000
"""RTP clock of video (RFC 6184 section 8.2.1)."""
START = b"\x00\x00\x00\x01"
_IDR = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65\x85\xa5\xc5\xe5]")
"""A start code cannot stand inside a NAL unit (Annex B, emulation prevention), so the byte behind one is its header."""
NAL_SLICE, NAL_IDR, NAL_SEI, NAL_SPS, NAL_PPS = 1, 5, 6, 7, 8


@dataclass(frozen=True, slots=True)
class Unit:
    """One coded picture or stretch of sound.

    `pts` counts in 1/90000 s (sound: 1/48000 s); `arrived` is monotonic seconds; `level` is a sound's loudness in dBov,
    -127 to 0 (RFC 6464), None for pictures.
    """

    data: bytes
    key: bool
    pts: int
    arrived: float
    level: int | None = None


def nal_units(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an Annex B byte string, without start codes."""
    at = data.find(b"\x00\x00\x01")
    while at != -1:
        begin = at + 3
        at = data.find(b"\x00\x00\x01", begin)
        end = len(data) if at == -1 else at
        unit = data[begin:end].rstrip(b"\x00")  # trailing zeros belong to the next start code (B.1)
        if unit:
            yield unit


def nal_type(unit: bytes) -> int:
    """Return the type of one NAL unit (table 7-1)."""
    return unit[0] & 31


def is_key(data: bytes) -> bool:
    """Tell whether an access unit holds an IDR picture."""
    return _IDR.search(data) is not None


def parameter_sets(data: bytes) -> bytes:
    """Return SPS and PPS found in `data`, in Annex B form; empty where there are none."""
    return b"".join(START + unit for unit in nal_units(data) if nal_type(unit) in (NAL_SPS, NAL_PPS))


def with_parameter_sets(data: bytes, known: bytes) -> bytes:
    """Put `known` parameter sets in front of a key frame that lacks its own."""
    if not known or any(nal_type(unit) == NAL_SPS for unit in nal_units(data)):
        return data
    return known + data


class Encoder:
    """x264 for real time: constrained baseline, no B-frames, no look-ahead, one thread.

    Not safe for use from several threads at once. `close` frees the codec.
    """

    def __init__(self, width: int, height: int, frame_rate: int, bitrate_kbps: int, key_frame_s: float) -> None:
        import av

        codec: Any = av.CodecContext.create("libx264", "w")
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuv420p"
        codec.bit_rate = bitrate_kbps * 1000
        codec.framerate = Fraction(frame_rate, 1)
        codec.time_base = Fraction(1, CLOCK)
        codec.thread_count = 1
        keys = max(1, round(frame_rate * key_frame_s))
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "maxrate": str(bitrate_kbps * 1000),  # as options, not x264-params: only so can the rate be changed later
            "bufsize": str(bitrate_kbps * 1000),
            "x264-params": (
                f"keyint={keys}:min-keyint=1:scenecut=0:bframes=0:threads=1:sliced-threads=0:repeat-headers=1:annexb=1"
            ),
        }
        codec.profile = "Baseline"
        self._codec: Any = codec

    def encode(self, picture: "NDArray[Any]", pts: int, arrived: float, *, key: bool = False) -> list[Unit]:
        """Encode one BGR picture; `key` forces a key frame. Returns the finished units, one as a rule."""
        import av

        frame: Any = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = pts, Fraction(1, CLOCK)
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        return [
            Unit(bytes(packet), bool(packet.is_keyframe), int(packet.pts), arrived)
            for packet in self._codec.encode(frame)
        ]

    def retune(self, bitrate_kbps: int) -> None:
        """Change the bit rate from the next picture on, without a key frame; no higher than it was made for."""
        self._codec.bit_rate = bitrate_kbps * 1000

    def close(self) -> None:
        """Free the codec."""
        self._codec = None
