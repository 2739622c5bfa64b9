"""WebRTC peers for tests: a publisher whose pictures carry the test mark, a viewer that reads it from what it decodes.

Both speak through a function `post(offer) -> answer`, so that they work on an engine directly or over HTTP.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from fractions import Fraction

import aioice.ice
import av
import numpy as np
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import RTCRtpSender

from protocols.testmark import Mark, blocks, box, decode

Post = Callable[[str], Awaitable[str]]
WIDTH, HEIGHT = 480, 270
THUMB = (320, 180)
TONE_HZ = 440


def teach_loopback() -> None:
    """Let aioice offer 127.0.0.1, and only that: tests stay on this machine."""

    def loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1"] if use_ipv4 else []

    aioice.ice.get_host_addresses = loopback


teach_loopback()


def draw(code: str, unix_ms: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a grey picture with a moving bar and the mark."""
    picture = np.full((height, width), 90, np.uint8)
    at = unix_ms // 5 % (width - 20)
    picture[20:60, at : at + 20] = 200
    for row, bits in enumerate(blocks(code, unix_ms)):
        for column, bit in enumerate(bits):
            left, top, right, bottom = box(width, height, row, column)
            picture[top:bottom, left:right] = 235 if bit else 16
    return picture


def read_mark(frame: av.VideoFrame) -> Mark | None:
    """Read the mark from a decoded frame."""
    luma = frame.to_ndarray(format="gray")
    height, width = luma.shape
    return decode(width, height, lambda x, y: float(luma[min(y, height - 1), min(x, width - 1)]))


_QUICK = {"preset": "ultrafast", "tune": "zerolatency"}
_LIVE = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
_ENCODERS = {
    "H264": ("libx264", {**_QUICK, "profile": "baseline", "x264-params": "keyint={keyint}"}),
    "H265": ("libx265", {**_QUICK, "x265-params": "keyint={keyint}:repeat-headers=1:pools=1:log-level=none"}),
    "VP8": ("libvpx", _LIVE),
    "VP9": ("libvpx-vp9", _LIVE),
    "AV1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:lp=1:rc=2"}),
}


class MarkTrack(VideoStreamTrack):
    """Live pictures with the mark, encoded here and handed on as packets, as an agent does.

    With `raw` they are encoded by aiortc, which then answers requests for key frames (and makes none by itself).
    """

    def __init__(
        self, code: str, codec: str, *, rate: int = 15, key_frame_s: float = 1.0, raw: bool = False,
        size: tuple[int, int] = (WIDTH, HEIGHT),
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = size
        self.raw = raw
        self.code, self.rate = code, rate
        self.frozen = False
        self.paused = False
        self.number = 0
        self._every = max(1, round(rate * key_frame_s))
        self._began: float | None = None
        library, options = _ENCODERS[codec]
        self._encoder = av.CodecContext.create(library, "w")
        (self._encoder.width, self._encoder.height), self._encoder.pix_fmt = size, "yuv420p"
        self._encoder.time_base = Fraction(1, 90000)
        self._encoder.framerate = Fraction(rate, 1)
        self._encoder.bit_rate = 600_000
        self._encoder.gop_size = self._every
        self._encoder.thread_count = 1  # slices on several threads wait for each other: long, on a busy machine
        self._encoder.options = {name: value.format(keyint=self._every) for name, value in options.items()}
        self._drawn_ms = 0

    async def recv(self) -> av.Packet | av.VideoFrame:
        now = time.monotonic()
        self._began = self._began or now
        while True:
            self.number += 1
            await asyncio.sleep(max(0.0, self._began + self.number / self.rate - time.monotonic()))
            if self.readyState != "live":
                raise MediaStreamError
            if self.raw and not self.paused:
                return self._picture()
            if not self.paused:
                # not on the loop: on a busy machine it would read less than it is sent, and see it seconds later
                packets = await asyncio.to_thread(self._encode)
                if packets:
                    return packets[0]

    def _picture(self) -> av.VideoFrame:
        if not self.frozen or not self._drawn_ms:
            self._drawn_ms = int(time.time() * 1000)
        frame = av.VideoFrame.from_ndarray(draw(self.code, self._drawn_ms, *self.size), format="gray").reformat(
            format="yuv420p"
        )
        frame.pts, frame.time_base = self.number * 90000 // self.rate, Fraction(1, 90000)
        return frame

    def _encode(self) -> list[av.Packet]:
        frame = self._picture()
        if self.number % self._every == 1:
            frame.pict_type = av.video.frame.PictureType.I
        return self._encoder.encode(frame)


class ToneTrack(AudioStreamTrack):
    """A steady tone, 20 ms at a time; `loud` is its amplitude, of 32,767."""

    def __init__(self, hertz: int = TONE_HZ, loud: int = 8000) -> None:
        super().__init__()
        self.hertz, self.loud = hertz, loud
        self._number = 0
        self._began: float | None = None

    async def recv(self) -> av.AudioFrame:
        self._began = self._began or time.monotonic()
        await asyncio.sleep(max(0.0, self._began + self._number * 0.02 - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        at = (np.arange(960) + self._number * 960) / 48000
        wave = (np.sin(2 * math.pi * self.hertz * at) * self.loud).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None, :], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self._number * 960, Fraction(1, 48000)
        self._number += 1
        return frame


@dataclass
class Publisher:
    """A connected publisher; `thumb` where it has two layers."""

    connection: RTCPeerConnection
    video: MarkTrack | None
    thumb: MarkTrack | None = None


@contextlib.asynccontextmanager
async def publisher(
    post: Post, code: str = "320623", codec: str = "H264", *, rate: int = 15, key_frame_s: float = 1.0,
    audio: bool | ToneTrack = False, video: bool = True, raw: bool = False, thumb: bool = False,
) -> AsyncIterator[Publisher]:  # fmt: skip
    """Publish until the context ends; connected when entered."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = MarkTrack(code, codec, rate=rate, key_frame_s=key_frame_s, raw=raw) if video else None
    small = MarkTrack(code, codec, rate=rate, key_frame_s=key_frame_s, raw=raw, size=THUMB) if thumb else None
    try:
        for layer in (track, small):
            if layer is None:
                continue
            transceiver = connection.addTransceiver(layer, direction="sendonly")
            wanted = f"video/{codec}".lower()
            known = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([c for c in known if c.mimeType.lower() == wanted])
        if audio:
            connection.addTransceiver(ToneTrack() if audio is True else audio, direction="sendonly")
        await exchange(connection, post)
        await connected(connection)
        yield Publisher(connection, track, small)
    finally:
        await connection.close()


async def exchange(connection: RTCPeerConnection, post: Post) -> str:
    """Offer, post, take the answer; returns it."""
    await connection.setLocalDescription(await connection.createOffer())
    answer = await post(connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    return answer


async def connected(connection: RTCPeerConnection, within_s: float = 20.0) -> None:
    """Wait until the connection carries media keys."""
    await until(lambda: connection.connectionState == "connected", within_s)


async def until(true: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait for a condition; AssertionError when it does not come."""
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            raise AssertionError("the condition did not come true in time")
        await asyncio.sleep(0.01)


@dataclass
class Viewer:
    """What a viewer has seen and heard; `history` has the mark and the width of each picture, `unread` had no mark."""

    connection: RTCPeerConnection
    frames: int = 0
    last: av.VideoFrame | None = None
    marks: Counter[str] = field(default_factory=Counter)
    newest_mark: Mark | None = None
    first_frame_s: float | None = None
    began: float = field(default_factory=time.monotonic)
    samples: list[np.ndarray] = field(default_factory=list)
    ended: bool = False
    unread: int = 0
    history: list[tuple[str, int]] = field(default_factory=list)

    def age_ms(self) -> int:
        """Return the age of the newest picture with a mark."""
        assert self.newest_mark is not None
        return self.newest_mark.age_ms(int(time.time() * 1000))

    async def sees(self, code: str, count: int = 1, within_s: float = 20.0) -> None:
        """Wait until `count` more pictures bore this code."""
        goal = self.marks[code] + count
        await until(lambda: self.marks[code] >= goal, within_s)

    async def hears(self, hertz: int = TONE_HZ, within_s: float = 20.0) -> None:
        """Wait until half a second of sound has this frequency."""
        await until(lambda: abs(self.tone() - hertz) < 15, within_s)

    def tone(self) -> float:
        """Return the strongest frequency of the last half second; 0 before that."""
        if len(self.samples) < 25:
            return 0.0
        wave = np.concatenate(self.samples[-25:]).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        return float(np.argmax(spectrum)) * 48000 / len(wave) if spectrum.max() > 1000 else 0.0

    async def watch(self, track: MediaStreamTrack) -> None:
        """Take everything from a track until it ends."""
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if track.kind == "audio":
                    self.samples.append(frame.to_ndarray().reshape(-1)[::2])
                    del self.samples[:-50]
                else:
                    self._look(frame)
        self.ended = True

    def _look(self, frame: av.VideoFrame) -> None:
        self.frames += 1
        self.last = frame
        if self.first_frame_s is None:
            self.first_frame_s = time.monotonic() - self.began
        mark = read_mark(frame)
        if mark is None:
            self.unread += 1
        else:
            self.marks[mark.code] += 1
            self.newest_mark = mark
            self.history.append((mark.code, frame.width))


@contextlib.asynccontextmanager
async def viewer(
    post: Post, *, audio: bool = False, wait: bool = True, codec: str | None = None
) -> AsyncIterator[Viewer]:
    """View until the context ends; connected when entered (unless `wait` is False). `codec`: offer that one alone."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    seen = Viewer(connection)
    tasks: set[asyncio.Task[None]] = set()

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        tasks.add(asyncio.ensure_future(seen.watch(track)))

    try:
        picture = connection.addTransceiver("video", direction="recvonly")
        if codec is not None:
            known = RTCRtpSender.getCapabilities("video").codecs
            picture.setCodecPreferences([c for c in known if c.mimeType.lower() == f"video/{codec}".lower()])
        if audio:
            connection.addTransceiver("audio", direction="recvonly")
        await exchange(connection, post)
        if wait:
            await connected(connection)
        yield seen
    finally:
        await connection.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
