"""What the packets of a compressed camera prove without decoding them. Pure rules; time is an argument.

**Packets alone may raise suspicion, never a verdict of frozen or black**: that takes a decoded picture. A picture that
does not move is coded as skipped blocks, so its delta frames are tiny; those are looked at with a decoder.
"""

from collections import deque
from itertools import takewhile

from protocols.aio.h264 import Unit

KEY_FRAMES_APART_S = 4.0
"""Design section 5: key frames further apart are a camera fault."""
STALE_S = 3.0
_WINDOW_S = 3.0
_MIN_DELTAS = 8
_TINY_BYTES = 96
_PIXELS_PER_TINY_BYTE = 8000


class PacketWatch:
    """Feed `look` with every unit and `dts` where known; read `suspicious`, `fault` and `frame_age_ms`."""

    def __init__(self, pixels: int = 640 * 360) -> None:
        self.tiny = max(_TINY_BYTES, pixels // _PIXELS_PER_TINY_BYTE)
        self.newest_at: float | None = None
        self.key_interval_s: float | None = None
        self._deltas: deque[tuple[float, int]] = deque(maxlen=240)
        self._key_pts: int | None = None
        self._key_sizes: deque[int] = deque(maxlen=3)
        self._last_pts: int | None = None
        self._reordered = 0

    def look(self, unit: Unit) -> None:
        """Take one unit, in order of coding."""
        self.newest_at = unit.arrived
        if self._last_pts is not None and unit.pts < self._last_pts:
            self._reordered += 1
        self._last_pts = unit.pts
        if not unit.key:
            self._deltas.append((unit.arrived, len(unit.data)))
            return
        if self._key_pts is not None and unit.pts > self._key_pts:
            self.key_interval_s = (unit.pts - self._key_pts) / 90_000
        self._key_pts = unit.pts
        self._key_sizes.append(len(unit.data))

    def suspicious(self, now: float) -> bool:
        """Tell whether a decoder should look: little is known yet, deltas are tiny, or all key frames alike."""
        fresh = takewhile(lambda delta: now - delta[0] <= _WINDOW_S, reversed(self._deltas))
        recent = sorted(size for _, size in fresh)
        if len(recent) < _MIN_DELTAS:
            return True
        if recent[len(recent) * 9 // 10] <= self.tiny:
            return True
        return len(self._key_sizes) == 3 and len(set(self._key_sizes)) == 1

    def fault(self, now: float) -> str | None:
        """Name a setting of the camera that must be changed, or None."""
        if self._reordered >= 2:
            return "b_frames"
        since_key = (self._last_pts - self._key_pts) / 90_000 if self._last_pts and self._key_pts is not None else 0.0
        if max(self.key_interval_s or 0.0, since_key) > KEY_FRAMES_APART_S + 0.25:
            return "key_frames_apart"
        if self.newest_at is not None and now - self.newest_at > STALE_S:
            return "no_packets"
        return None

    def frame_age_ms(self, now: float) -> int | None:
        """Return milliseconds since the newest unit, None before the first."""
        return None if self.newest_at is None else max(0, round((now - self.newest_at) * 1000))
