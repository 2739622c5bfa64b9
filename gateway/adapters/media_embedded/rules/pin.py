"""Which SSRC a track listens to: the one that was announced, else the first; another only over its silence.

Law: **a stray packet never takes a track over.** It would begin a new generation, and every viewer would wait for a
key frame.
"""

QUIET_S = 2.0
"""A source that said nothing for this long may be followed by another that was not announced."""
STEADY = 8
"""As many packets in sequence must come from the follower."""
STEP = 16
"""A follower's sequence numbers may leave out fewer than this between two packets."""


class Pin:
    """Ask `takes` for every packet. `announced` are the SSRCs that SDP named for the media; empty if it named none."""

    def __init__(self, announced: tuple[int, ...] = ()) -> None:
        self.ssrc: int | None = None
        self._announced = frozenset(announced)
        self._heard_at: float | None = None
        self._rival: tuple[int, int, int] | None = None

    def takes(self, ssrc: int, sequence: int, now: float) -> bool:
        """Tell whether the packet belongs to the track; `now` is monotonic seconds, `ssrc` then says who is heard."""
        if self._heard_at is None:
            self._heard_at = now
        if ssrc == self.ssrc or self._entitled(ssrc) or self._follows(ssrc, sequence, now):
            self.ssrc, self._heard_at, self._rival = ssrc, now, None
            return True
        return False

    def heard(self, now: float) -> None:
        """Note another packet of `ssrc`: what `takes` does for it."""
        self._heard_at, self._rival = now, None

    def _entitled(self, ssrc: int) -> bool:
        if ssrc in self._announced:
            return self.ssrc not in self._announced
        return self.ssrc is None and not self._announced

    def _follows(self, ssrc: int, sequence: int, now: float) -> bool:
        """Watch one rival at a time, and only while the track is silent."""
        if self._heard_at is None or now - self._heard_at < QUIET_S:
            self._rival = None
            return False
        steady = 1
        if self._rival is not None and self._rival[0] == ssrc and 0 < (sequence - self._rival[1]) & 0xFFFF < STEP:
            steady = self._rival[2] + 1
        self._rival = (ssrc, sequence, steady)
        return steady >= STEADY
