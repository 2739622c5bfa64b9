"""Prerecorded traffic: a noisy moving picture, encoded once and kept in a file; played in a loop without a seam.

The loop ends before a key frame, so that its first frame follows its last one as any key frame would.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 25
CLOCK = 90_000
_HEAD = struct.Struct("!?I")
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded picture, cut into RTP payloads."""

    key: bool
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to encode: codec VP8 or H264, seconds between key frames, brightness by which a picture is told apart."""

    codec: str = "VP8"
    key_frame_s: float = 2.0
    shade: int = 110
    loops: int = 4  # groups of pictures in the loop
    width: int = 1280
    height: int = 720
    bitrate: int = 1_500_000

    @property
    def frames(self) -> int:
        """Pictures of the loop."""
        return round(self.key_frame_s * RATE) * self.loops

    def file(self, folder: Path) -> Path:
        """Name the file that keeps it."""
        size = f"{self.width}x{self.height}-{self.bitrate // 1000}k"
        return folder / f"traffic-{_VERSION}-{self.codec}-{size}-{self.key_frame_s:g}s-{self.shade}-{self.frames}.bin"


def record(recipe: Recipe, folder: Path) -> Path:
    """Encode the traffic into its file unless it is there; takes seconds of one core."""
    path = recipe.file(folder)
    if path.exists():
        return path
    encoder = _encoder(recipe)
    every = round(recipe.key_frame_s * RATE)
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        for number in range(recipe.frames):
            for key, data in _encode(encoder, _draw(number, recipe), key=number % every == 0):
                file.write(_HEAD.pack(key, len(data)) + data)
        for packet in encoder.encode(None):
            file.write(_HEAD.pack(packet.is_keyframe, packet.size) + bytes(packet))
    draft.replace(path)
    return path


def _encoder(recipe: Recipe) -> Any:
    from fractions import Fraction

    import av

    encoder: Any = av.CodecContext.create("libx264" if recipe.codec == "H264" else "libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = recipe.width, recipe.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE, 1)
    encoder.bit_rate = recipe.bitrate
    every, rate = round(recipe.key_frame_s * RATE), str(recipe.bitrate)
    encoder.gop_size = every
    encoder.options = (
        {"preset": "superfast", "tune": "zerolatency", "profile": "baseline", "maxrate": rate, "bufsize": rate,
         "x264-params": f"keyint={every}:min-keyint={every}:scenecut=0:sliced-threads=0:nal-hrd=none"}
        if recipe.codec == "H264"
        else {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0", "minrate": rate,
              "maxrate": rate, "error-resilient": "default"}
    )  # fmt: skip
    return encoder


def _encode(encoder: Any, luma: "NDArray[np.uint8]", *, key: bool) -> list[tuple[bool, bytes]]:
    import av
    from av.video.frame import PictureType

    frame = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p")
    if key:
        frame.pict_type = PictureType.I
    return [(packet.is_keyframe, bytes(packet)) for packet in encoder.encode(frame)]


def _draw(number: int, recipe: Recipe) -> "NDArray[np.uint8]":
    """Draw a moving wave with coarse noise: enough to fill the bitrate, and the same in each loop."""
    import numpy as np

    random = np.random.default_rng(number)
    rows, columns = np.mgrid[0 : recipe.height, 0 : recipe.width].astype(np.float32)
    turn = 2 * np.pi * number / recipe.frames
    wave = 25 * np.sin(columns / 60 + 3 * turn) + 15 * np.sin(rows / 40 - 2 * turn)
    noise = np.kron(random.normal(0, 9, (recipe.height // 8, recipe.width // 8)), np.ones((8, 8))).astype(np.float32)
    picture: NDArray[np.uint8] = np.clip(recipe.shade + wave + noise, 16, 235).astype(np.uint8)
    return picture


def load(path: Path, codec: str) -> list[Frame]:
    """Read a file of `record` and cut its pictures into payloads (RFC 7741, RFC 6184)."""
    data = path.read_bytes()
    frames, at = [], 0
    pack = _packer(codec)
    while at < len(data):
        key, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        frames.append(Frame(key, tuple(pack(data[at : at + size]))))
        at += size
    return frames


def _packer(codec: str) -> Any:
    """Return what cuts an encoded picture into payloads: the packetisers that agents publish with."""
    from fractions import Fraction

    import av
    from aiortc.codecs import get_encoder
    from aiortc.rtcrtpparameters import RTCRtpCodecParameters

    encoder = get_encoder(RTCRtpCodecParameters(f"video/{codec}", CLOCK, None, 96))

    def pack(data: bytes) -> list[bytes]:
        packet = av.Packet(data)
        packet.pts, packet.time_base = 0, Fraction(1, CLOCK)
        payloads: list[bytes] = encoder.pack(packet)[0]
        return payloads

    return pack
