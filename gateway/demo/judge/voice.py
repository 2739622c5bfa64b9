"""The judge as a person in a call: publishes a test card and a tone by WHIP, both made to be recognised."""

import asyncio
import contextlib
import fractions
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from typing_extensions import override

from gateway.demo.judge import eye

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

FRAME_RATE = 10
SAMPLE_RATE = 48000
_SAMPLES = 960  # 20 ms, the usual packet of Opus


@contextlib.asynccontextmanager
async def speaking(whip_url: str, token: str, code: str, tone_hz: float) -> AsyncIterator[None]:
    """Publish the card of `code` and a tone while inside. Raises LinkError, RefusedError."""
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    from protocols.aio.whip import WhipClient

    eye.teach_loopback()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    async with WhipClient(whip_url, token) as client:
        try:
            for track in (_card_track(code), _tone_track(tone_hz)):
                connection.addTrack(track)
            _prefer_h264(connection)
            await connection.setLocalDescription(await connection.createOffer())
            answer = await client.offer(connection.localDescription.sdp)
            await connection.setRemoteDescription(RTCSessionDescription(sdp=answer.sdp, type="answer"))
            yield
        finally:
            with contextlib.suppress(Exception):  # the session may be gone with its gateway
                await client.delete()
            await connection.close()


def _prefer_h264(connection: object) -> None:
    from aiortc import RTCPeerConnection, RTCRtpSender

    if not isinstance(connection, RTCPeerConnection):
        raise AssertionError("a peer connection is needed")
    codecs = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType == "video/H264"]
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(codecs)


def _card_track(code: str) -> "MediaStreamTrack":
    import av
    from aiortc import MediaStreamTrack

    from protocols.aio.testcard import TestCard

    class Card(MediaStreamTrack):
        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self._card = TestCard(code, "JUDGE", "call", width=640, height=360)
            self._started = time.monotonic()
            self._frames = 0

        @override
        async def recv(self) -> av.VideoFrame:
            await asyncio.sleep(max(0.0, self._started + self._frames / FRAME_RATE - time.monotonic()))
            frame = av.VideoFrame.from_ndarray(self._card.draw(datetime.now(UTC)), format="bgr24")
            frame.pts, frame.time_base = self._frames * (90000 // FRAME_RATE), fractions.Fraction(1, 90000)
            self._frames += 1
            return frame

    return Card()


def _tone_track(tone_hz: float) -> "MediaStreamTrack":
    import av
    import numpy as np
    from aiortc import MediaStreamTrack

    class Tone(MediaStreamTrack):
        kind = "audio"

        def __init__(self) -> None:
            super().__init__()
            self._started = time.monotonic()
            self._at = 0

        @override
        async def recv(self) -> av.AudioFrame:
            await asyncio.sleep(max(0.0, self._started + self._at / SAMPLE_RATE - time.monotonic()))
            phase = 2 * np.pi * tone_hz * (np.arange(_SAMPLES) + self._at) / SAMPLE_RATE
            samples = (np.sin(phase) * 8000).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, self._at
            frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
            self._at += _SAMPLES
            return frame

    return Tone()
