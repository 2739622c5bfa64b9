"""How much one session may send: what the gateway says (REMB), what it misses, and what stands in queues on the way.

Pure rules; time is an argument. **Down at once, up slowly**: a line that was too full a moment ago is tried again in
steps of `RISE` a second. Loss is judged as in draft-ietf-rmcat-gcc-02 section 6: over 10 % lowers, under 2 % raises. A
round trip that stands above the line's own by `QUEUE_S` is a buffer that this session fills: it lowers as well, long
before such a buffer loses anything. The small layer is served first, because a wall lives on it; the main layer takes
what is left.
"""

from collections.abc import Mapping

LOSSY, CLEAN = 0.10, 0.02
RISE = 0.15
"""Share by which a bound or a target grows in a second."""
HEADROOM = 0.9
"""Share of an estimate that is used: key frames overshoot."""
STALE_S = 8.0
"""An estimate that is not repeated for so long is no bound any more; targets then grow by steps."""
THIN_S = 3.0
QUEUE_S, EMPTY_S = 0.15, 0.05
_DRAIN = 0.85
_TRIP_AGES = 0.002
"""Share of time by which the line's own round trip is taken to grow: a longer way is not a queue for ever."""
_SOUND_KBPS = 40


class RateControl:
    """One session's budget. Feed `estimate` and `loss`, call `targets` about twice a second.

    `bounds` names the layers that can be steered, with their least and largest kbit/s.
    """

    def __init__(
        self, bounds: Mapping[str, tuple[int, int]], *, sound: bool, start: Mapping[str, int] | None = None
    ) -> None:
        self._bounds = bounds
        self._sound_kbps = _SOUND_KBPS if sound else 0
        self._estimate: tuple[float, float] | None = None
        self._by_loss: float | None = None
        self._lossy_at: float | None = None
        self._lowered_at: float | None = None
        self._current: dict[str, float] = dict(start or {})
        self._targets_at: float | None = None
        self._thin_since: float | None = None
        self._least_trip: tuple[float, float] | None = None
        self._queue_s = 0.0
        self._full = 0

    def estimate(self, kbps: float, now: float) -> None:
        """Take what the gateway says that the line carries, for all that this session sends."""
        self._estimate = (kbps, now)

    def loss(self, fraction: float, sent_kbps: float, now: float) -> None:
        """Take one report's share of lost packets (0 to 1), and the rate sent lately."""
        if fraction > LOSSY:
            self._lower(1 - 0.5 * fraction, sent_kbps, now)
        elif fraction < CLEAN and self._by_loss is not None and self._queue_s < EMPTY_S:
            self._lossy_at = None
            passed = 1.0 if self._lowered_at is None else min(1.0, now - self._lowered_at)
            self._lowered_at = now
            self._by_loss *= 1 + RISE * passed
            if self._by_loss >= self._most:
                self._by_loss = None

    def _lower(self, share: float, sent_kbps: float, now: float) -> None:
        self._lossy_at = now
        if self._lowered_at is None or now - self._lowered_at >= 1.0:
            self._lowered_at = now
            present = sent_kbps if self._by_loss is None else min(sent_kbps, self._by_loss)
            self._by_loss = max(self._least, present * share)

    def round_trip(self, seconds: float, sent_kbps: float, now: float) -> None:
        """Take one measured round trip: two in a row with a standing queue lower the rate."""
        least = seconds
        if self._least_trip is not None:
            least = min(seconds, self._least_trip[0] + _TRIP_AGES * (now - self._least_trip[1]))
        self._least_trip = (least, now)
        self._queue_s = seconds - least
        self._full = self._full + 1 if self._queue_s > QUEUE_S else 0
        if self._full >= 2:
            self._lower(_DRAIN, sent_kbps, now)

    @property
    def _least(self) -> float:
        return self._sound_kbps + sum(floor for floor, _ in self._bounds.values())

    @property
    def _most(self) -> float:
        return self._sound_kbps + sum(ceiling for _, ceiling in self._bounds.values())

    def budget_kbps(self, now: float) -> float | None:
        """Return what may be sent in all, None where nothing bounds it."""
        known = [] if self._by_loss is None else [self._by_loss]
        if self._estimate is not None and now - self._estimate[1] <= STALE_S:
            known.append(self._estimate[0] * HEADROOM)
        return min(known, default=None)

    def targets(self, active: frozenset[str], now: float) -> dict[str, int]:
        """Return the rate of each active layer in kbit/s; layers that cannot be steered are not named."""
        budget = self.budget_kbps(now)
        left = float("inf") if budget is None else budget - self._sound_kbps
        passed = 0.0 if self._targets_at is None else now - self._targets_at
        self._targets_at = now
        current: dict[str, float] = {}
        found: dict[str, int] = {}
        for name in sorted(active & self._bounds.keys(), reverse=True):  # thumb before main
            floor, ceiling = self._bounds[name]
            aim = max(floor, min(ceiling, left))
            target = min(aim, self._current.get(name, aim) * (1 + RISE * passed))
            current[name], found[name] = target, round(target)
            left -= target
        self._current = current
        return found

    def thin(self, sent_kbps: float, now: float) -> bool:
        """Tell whether the line has carried less than what is sent (kbit/s) for `THIN_S`, whatever was tried."""
        budget = self.budget_kbps(now)
        lossy = self._lossy_at is not None and now - self._lossy_at <= THIN_S
        if budget is None or (sent_kbps <= budget / HEADROOM and not lossy):
            self._thin_since = None
            return False
        if self._thin_since is None:
            self._thin_since = now
        return now - self._thin_since >= THIN_S
