"""Audio levels of RFC 6464: what a packet's header says of its loudness, without decoding the sound.

The extension is one byte: the voice flag and the level in -dBov, 0 the loudest and 127 silence.
"""

LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
SILENCE = 127
RISE, FALL = 0.5, 0.1
"""Share of the way that the smoothed level goes per packet: up at once, down gently, as meters do."""
OLD_S = 1.0
"""Without a packet for this long (discontinuous transmission) a sound is silent."""


def read(value: bytes) -> int | None:
    """Return the level in -dBov (0 to 127) of an extension's value; None where it is empty."""
    return value[0] & 0x7F if value else None


def linear(minus_dbov: float) -> float:
    """Return a level as webrtc-stats wants it: 0 silence, 1 full scale."""
    return 0.0 if minus_dbov >= SILENCE else 10 ** (-minus_dbov / 20)


class Meter:
    """Feed `heard` with each packet's level; read `newest` and `smooth` in -dBov, or `level` from 0 to 1."""

    def __init__(self) -> None:
        self.newest = SILENCE
        self.smooth = float(SILENCE)
        self._at: float | None = None

    def heard(self, minus_dbov: int, now: float) -> None:
        """Take a packet's level."""
        if self._at is not None and now - self._at > OLD_S:
            self.smooth = float(SILENCE)
        self._at, self.newest = now, minus_dbov
        step = minus_dbov - self.smooth
        self.smooth += step * (RISE if step < 0 else FALL)

    def level(self, now: float) -> float | None:
        """Return the smoothed level from 0 to 1; None where the source never told any."""
        if self._at is None:
            return None
        return 0.0 if now - self._at > OLD_S else round(linear(self.smooth), 4)
