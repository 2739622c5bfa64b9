"""Opus for a voice-like sound: mono, 48 kHz, 20 ms a packet (RFC 6716)."""

from fractions import Fraction
from typing import Any

import av

RATE = 48_000
BITS_PER_SECOND = 32_000


class OpusEncoder:
    """Encodes chunks of 960 samples. Not safe for use from several threads at once."""

    def __init__(self) -> None:
        codec: Any = av.CodecContext.create("libopus", "w")
        codec.bit_rate = BITS_PER_SECOND
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE
        codec.time_base = Fraction(1, RATE)
        codec.options = {"application": "voip", "frame_duration": "20"}
        self._codec = codec
        self._pts = 0

    def encode(self, chunk: Any) -> list[bytes]:
        """Encode one chunk; the first call may return nothing (codec delay)."""
        frame: Any = av.AudioFrame.from_ndarray(chunk.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._pts, Fraction(1, RATE)
        self._pts += len(chunk)
        return [bytes(packet) for packet in self._codec.encode(frame)]
