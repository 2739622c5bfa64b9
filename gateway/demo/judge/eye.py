"""Eye and ear of the judge: an own WHEP viewer whose decoded pixels and samples say what a stream shows."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocols import testmark

if TYPE_CHECKING:
    import numpy as np
    from aiortc import RTCPeerConnection
    from numpy.typing import NDArray

FRESH_MS = 2000
"""An older picture is not fresh (roll-call rule of the gateways)."""
CATCH_UP_S = 2.5
"""A join starts at the last key frame and is paced to the present; a stream that stays behind is a replay."""


@dataclass(frozen=True, slots=True)
class Look:
    """One join: seconds from the WHEP request to the first decoded picture, and what the mark in it says."""

    first_picture_s: float
    width: int
    height: int
    mark: testmark.Mark | None
    age_ms: int | None
    tone_hz: float | None = None
    frames: int = 1

    def fault(self, centre: str) -> str | None:
        """Say what is untrue about a picture that should show `centre` now; None where nothing is."""
        if self.mark is None:
            return "no mark can be read in the picture"
        if self.mark.code != centre:
            return f"the picture shows {self.mark.code}"
        if self.age_ms is None or not -500 <= self.age_ms <= FRESH_MS:
            return f"the picture is {self.age_ms} ms old"
        return None


def teach_loopback() -> None:
    """Let ICE offer 127.0.0.1 and nothing else: the library never offers loopback by itself."""
    import aioice.ice

    def only_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - the library's signature
        return ["127.0.0.1"] if use_ipv4 or use_ipv6 else []

    aioice.ice.get_host_addresses = only_loopback


def read_mark(picture: "NDArray[np.uint8]") -> testmark.Mark | None:
    """Read the mark of a grey picture."""
    height, width = picture.shape

    def luma(x: int, y: int) -> float:
        inside = 0 <= x < width and 0 <= y < height
        return float(picture[y, x]) if inside else 0.0

    return testmark.decode(width, height, luma)


async def look(whep_url: str, token: str, *, limit_s: float = 10.0, listen_s: float = 0.0, stay_s: float = 0.0) -> Look:
    """Join a stream, decode its first picture (and some sound), stay, leave. Raises TimeoutError, LinkError."""
    from protocols.aio.whip import WhepClient

    connection = _peer()
    tracks: dict[str, Any] = {}
    connection.on("track", lambda track: tracks.setdefault(track.kind, track))
    connection.addTransceiver("video", direction="recvonly")
    if listen_s:
        connection.addTransceiver("audio", direction="recvonly")
    async with WhepClient(whep_url, token, timeout_s=limit_s) as client:
        try:
            await connection.setLocalDescription(await connection.createOffer())
            started = time.monotonic()
            async with asyncio.timeout(limit_s + listen_s + stay_s):
                await _answer(connection, (await client.offer(connection.localDescription.sdp)).sdp)
                frame = await tracks["video"].recv()
                seconds = time.monotonic() - started
                mark, age_ms = await _newest(tracks, frame)
                tone = await _listen(tracks, listen_s) if listen_s else None
                frames = 1 + await _stay(tracks, stay_s)
        finally:
            with contextlib.suppress(Exception):  # the session may be gone with its gateway
                await client.delete()
            await connection.close()
    return Look(seconds, frame.width, frame.height, mark, age_ms, tone, frames)


async def _newest(tracks: dict[str, Any], frame: Any) -> tuple[testmark.Mark | None, int | None]:
    """Read the mark of the first picture, or of a later one while the stream catches up with the present."""
    until = time.monotonic() + CATCH_UP_S
    while True:
        mark = read_mark(frame.to_ndarray(format="gray"))
        age_ms = mark.age_ms(int(time.time() * 1000)) if mark else None
        if age_ms is None or age_ms <= FRESH_MS or time.monotonic() > until:
            return mark, age_ms
        frame = await tracks["video"].recv()


async def _stay(tracks: dict[str, Any], seconds: float) -> int:
    frames, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        await tracks["video"].recv()
        frames += 1
    return frames


def _peer() -> "RTCPeerConnection":
    from aiortc import RTCConfiguration, RTCPeerConnection

    teach_loopback()
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def _answer(connection: "RTCPeerConnection", sdp: str) -> None:
    from aiortc import RTCSessionDescription

    await connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))


async def _listen(tracks: dict[str, Any], seconds: float) -> float | None:
    import numpy as np

    samples: list[NDArray[np.float64]] = []
    rate, length = 48000, 0.0
    # The first packets may be the codec's start-up; they are left out.
    skip = 0.3
    while length < seconds:
        frame = await tracks["audio"].recv()
        rate = frame.sample_rate
        length += frame.samples / rate
        if length > skip:
            samples.append(frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0].astype(np.float64))
    return loudest_hz(np.concatenate(samples), rate) if samples else None


def loudest_hz(samples: "NDArray[np.float64]", rate: int) -> float | None:
    """Return the frequency that stands out of a sound, None for silence or noise."""
    import numpy as np

    if not len(samples) or float(np.abs(samples).max()) < 100:  # of 32767: silence
        return None
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    spectrum[: max(1, int(50 * len(samples) / rate))] = 0
    peak = int(spectrum.argmax())
    near = float(np.square(spectrum[max(0, peak - 8) : peak + 9]).sum())
    if near < 0.5 * float(np.square(spectrum).sum()):
        return None
    return peak * rate / len(samples)
