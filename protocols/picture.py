"""Picture verdicts from samples, used by the agent on its own cameras and by the gateway on what it receives.

A sample is a small grey thumbnail (32 x 18) and, for raw sources, a digest of the exact pixels; a key frame has its
grain instead (`protocols.grain`). **Frozen is said only when exactly the same pixels are repeated**, behind an encoder
only where they hold sensor noise, which a live picture never shows twice. A still scene with new noise is `live`, and
what cannot be told apart is `unproven`, which is neither present nor frozen (design section 5). So are a recording that
comes back (`replayed`) and the colour bars of a device without a camera, whose noise would else pass for life.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from operator import sub

from protocols.grain import Grain, GrainWatch
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
    grain: Grain | None = None
    exact: str | None = None
    """Names the exact pixels of a decoded key frame; unlike `digest` it proves nothing without grain."""


@dataclass(frozen=True, slots=True)
class PictureFigures:
    """What a decoded key frame says about itself (measured by `protocols.aio.figures`).

    `edges`: the steepest step of brightness; `span`: from dark to bright; `cast`: the tint that dark and bright parts
    share; `stripes`: amplitude of a pattern over the whole picture. `mark` is a test card's code and the low 32 bits of
    its clock in milliseconds (`protocols.testmark`), `challenge` the number that the picture shows.
    """

    exact: str
    grain: bytes
    edges: float
    span: float
    cast: float
    stripes: float
    mark: tuple[str, int] | None = None
    challenge: str | None = None


def difference(one: bytes, other: bytes) -> float:
    """Return the mean absolute difference of two thumbnails, 0 to 255."""
    if len(one) != len(other) or not one:
        return 255.0
    total: int = sum(map(abs, map(sub, one, other)))
    return total / len(one)


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
    """Feed `look`; read `verdict(now)`. Keeps at most 64 samples and `protocols.grain.KEPT` grains."""

    def __init__(self, frozen_after_s: float = FROZEN_AFTER_S, stale_after_s: float = 3.0) -> None:
        self.frozen_after_s = frozen_after_s
        self.stale_after_s = stale_after_s
        self._samples: deque[Sample] = deque(maxlen=64)
        self._same_since: float | None = None
        self._alike_since = 0.0
        self._moved_at: float | None = None
        self._bars = False
        self._exact_since: float | None = None
        self._grains = GrainWatch()
        self._fresh_at: float | None = None
        self._recurred = False

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
        if last is None or sample.exact is None or last.exact != sample.exact:
            self._exact_since = sample.at
        if sample.grain is not None:
            self._grains.look(sample.grain)
            self._fresh_at = sample.at if self._grains.fresh else self._fresh_at
            self._recurred = self._recurred or self._grains.recurs
        self._samples.append(sample)

    @property
    def replayed(self) -> bool:
        """Whether a picture came back after others: a recording in a loop, which is not live however much it moves."""
        return self._recurred

    @property
    def repeats(self) -> bool:
        """Tell whether not even the grain of the picture changed for `frozen_after_s`, as far as thumbnails can show.

        No proof of a frozen picture (an encoder may swallow the noise of a dark room), and enough to doubt a live one.
        """
        return self.alike_for_s >= self.frozen_after_s

    @property
    def alike_for_s(self) -> float:
        """For how many seconds thumbnails have shown no change at all."""
        return self._samples[-1].at - self._alike_since if self._samples else 0.0

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
        return self._alive(last, now)

    def _alive(self, last: Sample, now: float) -> Verdict:
        if self.replayed:
            return Verdict.UNPROVEN
        newest = max((at for at in (self._moved_at, self._fresh_at) if at is not None), default=None)
        if newest is not None and now - newest <= 2 * self.frozen_after_s:
            return Verdict.LIVE
        return Verdict.FROZEN if self._stands_still(last) else Verdict.UNPROVEN

    def _stands_still(self, last: Sample) -> bool:
        """Tell whether a decoded picture with visible grain is repeated to the last pixel for long enough."""
        if self._exact_since is None or last.at - self._exact_since < self.frozen_after_s or last.grain is None:
            return False
        return self._grains.seen
