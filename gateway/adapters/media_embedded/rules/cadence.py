"""How evenly a track's pictures come: frames, freezes as W3C webrtc-stats defines them, distance of key frames.

Counted on arrival: what is frozen here is frozen at every viewer. A pause counts as a freeze once its end has come (as
in the standard); until then frame age and the state `stalled` tell it. Work is done per frame, never per packet.
"""

from collections import deque

MEAN_OF = 30
"""webrtc-stats: the mean duration is that of the last 30 frames."""
FREEZE_TIMES, FREEZE_MORE_S = 3.0, 0.150
"""webrtc-stats, freezeCount: a frame that lasts max(3 x mean, mean + 150 ms) or longer is a freeze."""
RATE_OVER_S = 2.0


class Cadence:
    """Feed `frame` at the first packet of each picture, `key_frame` besides where it is a key frame."""

    def __init__(self) -> None:
        self.frames = 0
        self.key_frames = 0
        self.key_interval_s: float | None = None
        self.freezes = 0
        self.freeze_s = 0.0
        self._last: float | None = None
        self._key_at: float | None = None
        self._durations: deque[float] = deque(maxlen=MEAN_OF)
        self._sum = 0.0
        self._times: deque[float] = deque(maxlen=64)

    def frame(self, now: float) -> None:
        """Note that a picture's first packet came."""
        self.frames += 1
        self._times.append(now)
        last, self._last = self._last, now
        if last is None:
            return
        lasted = max(0.0, now - last)
        if self._durations:
            mean = self._sum / len(self._durations)
            if lasted >= max(FREEZE_TIMES * mean, mean + FREEZE_MORE_S):
                self.freezes += 1
                self.freeze_s += lasted
            if len(self._durations) == MEAN_OF:
                self._sum -= self._durations[0]
        self._durations.append(lasted)
        self._sum += lasted

    def key_frame(self, now: float) -> None:
        """Note that this picture is a key frame."""
        self.key_frames += 1
        if self._key_at is not None:
            self.key_interval_s = now - self._key_at
        self._key_at = now

    def rest(self) -> None:
        """Note that the source was told to pause: what follows the pause is no freeze."""
        self._last = self._key_at = None

    def rate(self, now: float) -> float:
        """Return pictures a second over the last two seconds."""
        return sum(1 for at in self._times if now - at <= RATE_OVER_S) / RATE_OVER_S
