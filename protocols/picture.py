"""Picture verdicts from samples, used by the agent on its own cameras and by the gateway on what it receives.

A sample is a small grey thumbnail (32 x 18) and, for raw sources, a digest of the exact pixels. **Frozen is said only
when exactly the same pixels are repeated**; a still scene with sensor noise stays `live`, and what cannot be told apart
is `unproven`, which is neither present nor frozen (design section 5). So are the colour bars of a device without a
camera, whose noise would else pass for life.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from protocols.health import Verdict

THUMB_WIDTH = 32
THUMB_HEIGHT = 18
BLACK_MEAN = 20.0
"""Mean luma (0-255, video range black is 16) below which a picture without structure is black."""
BLACK_DEVIATION = 6.0
COVERED_DEVIATION = 6.0
"""A lens that is covered gives brightness without structure."""
FROZEN_AFTER_S = 8.0
"""The same picture for this long is frozen (domain.md scenario 3: an 8 s window)."""
MOVED = 1.5
"""Mean absolute difference of two thumbnails that shows movement through an encoder's noise."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a picture. `at` is monotonic seconds; `digest` names the exact pixels of a raw source, else None."""

    at: float
    mean: float
    deviation: float
    thumb: bytes
    digest: bytes | None = None


def difference(one: bytes, other: bytes) -> float:
    """Return the mean absolute difference of two thumbnails, 0 to 255."""
    if len(one) != len(other) or not one:
        return 255.0
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


BARS_LEAST = 6
"""So many steps of falling brightness side by side are colour bars (SMPTE EG 1, ITU-R BT.801: seven or eight)."""
_BAND = range(2, 10)
"""Rows of a thumbnail in which all kinds of colour bars have nothing but their bars."""
_FLAT, _STEP, _ROWS_ALIKE = 3, 8, 6


def colour_bars(thumb: bytes) -> bool:
    """Tell whether a thumbnail shows a generator's colour bars: level steps falling from left to right in each row."""
    if len(thumb) != THUMB_WIDTH * THUMB_HEIGHT:
        return False
    rows = [thumb[row * THUMB_WIDTH : (row + 1) * THUMB_WIDTH] for row in _BAND]
    for column in zip(*rows, strict=True):
        if max(column) - min(column) > _ROWS_ALIKE:
            return False
    run, last = 0, None
    for level in _plateaus(rows[len(rows) // 2]):
        run = run + 1 if last is not None and last - level >= _STEP else 1
        if run >= BARS_LEAST:
            return True
        last = level
    return False


def _plateaus(row: bytes) -> list[int]:
    """Return the level stretches of a row, from left to right; a stretch that slopes counts as a break (-1)."""
    found: list[int] = []
    for run in _runs(row):
        if len(run) < 2 or max(run) - min(run) > 2 * _FLAT:
            if len(run) > 2:
                found.append(-1)
            continue
        level = sorted(run)[len(run) // 2]
        if not found or abs(found[-1] - level) >= _STEP:
            found.append(level)
    return found


def _runs(row: bytes) -> list[list[int]]:
    """Split a row where neighbours differ."""
    runs = [[row[0]]]
    for one, other in pairwise(row):
        if abs(one - other) <= _FLAT:
            runs[-1].append(other)
        else:
            runs.append([other])
    return runs


class PictureJudge:
    """Feed `look`; read `verdict(now)`. Keeps at most `FROZEN_AFTER_S` seconds and 64 samples."""

    def __init__(self, frozen_after_s: float = FROZEN_AFTER_S, stale_after_s: float = 3.0) -> None:
        self.frozen_after_s = frozen_after_s
        self.stale_after_s = stale_after_s
        self._samples: deque[Sample] = deque(maxlen=64)
        self._same_since: float | None = None
        self._alike_since = 0.0
        self._moved_at: float | None = None
        self._bars = False

    def look(self, sample: Sample) -> None:
        """Take one sample, in order of time."""
        last = self._samples[-1] if self._samples else None
        if last is None or not self._same(last, sample):
            self._same_since = sample.at
        if last is None or last.thumb != sample.thumb:
            self._alike_since = sample.at
        if last is not None and self._moved(last, sample):
            self._moved_at = sample.at
        if last is None or last.thumb != sample.thumb:
            self._bars = colour_bars(sample.thumb)
        self._samples.append(sample)

    @property
    def repeats(self) -> bool:
        """Tell whether not even the grain of the picture changed for `frozen_after_s`, as far as thumbnails can show.

        No proof of a frozen picture (an encoder may swallow the noise of a dark room), and enough to doubt a live one.
        """
        return bool(self._samples) and self._samples[-1].at - self._alike_since >= self.frozen_after_s

    @property
    def bars(self) -> bool:
        """Whether the newest picture is a generator's colour bars."""
        return self._bars

    @staticmethod
    def _same(last: Sample, new: Sample) -> bool:
        return last.digest is not None and last.digest == new.digest

    @staticmethod
    def _moved(last: Sample, new: Sample) -> bool:
        if last.digest is not None and new.digest is not None:
            return last.digest != new.digest
        return difference(last.thumb, new.thumb) > MOVED

    def verdict(self, now: float) -> Verdict:
        """Return what the samples prove at `now` (monotonic seconds)."""
        if not self._samples or now - self._samples[-1].at > self.stale_after_s:
            return Verdict.NO_PICTURE
        last = self._samples[-1]
        if self.bars:
            return Verdict.UNPROVEN
        if last.deviation < BLACK_DEVIATION:
            return Verdict.BLACK if last.mean < BLACK_MEAN else Verdict.COVERED
        if self._same_since is not None and last.at - self._same_since >= self.frozen_after_s:
            return Verdict.FROZEN
        if self._moved_at is not None and now - self._moved_at <= 2 * self.frozen_after_s:
            return Verdict.LIVE
        return Verdict.UNPROVEN
