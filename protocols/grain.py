"""Sensor noise as a proof of life: the grain of a live picture is never the same twice, that of a repeated one is.

A *grain* is what is left of small blocks of the picture, at fixed places, without their brightness and slope: `BLOCKS`
times `CELL` signed bytes (made by `protocols.aio.figures` from key frames, which are coded without looking back). Two
grains are compared in the quiet blocks, where a scene has no structure of its own. **Grain that differs proves life,
grain that is the same proves nothing by itself**: a camera that cleans its picture also shows the same walls again.

Needs numpy once a grain is looked at: a hundred counties bring as many grains a second, each compared a dozen times.
"""

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS, ROWS, EDGE = 12, 8, 8
BLOCKS = COLUMNS * ROWS
CELL = EDGE * EDGE
SCALE = 8
"""Steps of a signed byte for one step of brightness."""
SEEN = 0.45
"""Least strength (standard deviation in steps of brightness) of a grain that can be compared; rounding has 0.15."""
FRESH_MEDIAN, FRESH_MOST = 0.10, 0.25
"""Correlations of independent grains: measured up to 0.10 through x264 at 0.3 to 3 Mbit/s."""
AGAIN = 0.6
"""Correlation of the same grain, even when it was coded anew at another quality."""
FRESH_LOOKS = 5
"""So many new grains in a row are life: by chance a picture that was coded anew may look new once or twice."""
KEPT = 12
"""Grains that are kept to find a recording that comes back."""
_QUIETEST, _QUIET = BLOCKS // 10, BLOCKS // 2


@dataclass(frozen=True)
class Grain:
    """The grain of one picture."""

    cells: bytes

    def __post_init__(self) -> None:
        if len(self.cells) != BLOCKS * CELL:
            raise ValueError(f"a grain has {BLOCKS * CELL} bytes")

    @cached_property
    def blocks(self) -> "NDArray[Any]":
        """Blocks as signed numbers, one in each row."""
        import numpy as np

        return np.frombuffer(self.cells, np.int8).reshape(BLOCKS, CELL).astype(np.int32)

    @cached_property
    def energies(self) -> "NDArray[Any]":
        """Sum of squares of each block."""
        import numpy as np

        return np.asarray((self.blocks * self.blocks).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Likeness:
    """How two grains compare: `strength` in steps of brightness, `correlation` -1 to 1."""

    strength: float
    correlation: float

    @property
    def seen(self) -> bool:
        """Whether there is enough grain to say anything."""
        return self.strength >= SEEN


def compare(one: Grain, other: Grain) -> Likeness:
    """Compare two grains in the blocks that are quiet in both."""
    import numpy as np

    louder = np.maximum(one.energies, other.energies)
    quiet = np.argsort(louder, kind="stable")[_QUIETEST:_QUIET]
    first, second = int(one.energies[quiet].sum()), int(other.energies[quiet].sum())
    both = int((one.blocks[quiet] * other.blocks[quiet]).sum())
    # The weaker one decides: a picture that lost its grain to coarse coding proves nothing against the other.
    strength = sqrt(min(first, second) / (len(quiet) * CELL)) / SCALE
    return Likeness(strength, both / sqrt(first * second) if first and second else 0.0)


class GrainWatch:
    """Feed `look` with grains in order of time; each is compared with those kept before it, once."""

    def __init__(self) -> None:
        self._grains: deque[Grain] = deque(maxlen=KEPT)
        self._rows: deque[tuple[Likeness, ...]] = deque(maxlen=KEPT)
        """For each kept grain its likeness to earlier ones, its neighbour first."""

    def look(self, grain: Grain) -> None:
        """Take the grain of the next picture."""
        self._rows.append(tuple(compare(grain, other) for other in reversed(self._grains)))
        self._grains.append(grain)

    @property
    def fresh(self) -> bool:
        """Whether each of the last `FRESH_LOOKS` grains was a new one."""
        rows = list(self._rows)[-FRESH_LOOKS:]
        pairs = [pair for age, row in enumerate(rows) for pair in row[:age]]
        if len(rows) < FRESH_LOOKS or not all(pair.seen for pair in pairs):
            return False
        values = [pair.correlation for pair in pairs]
        return median(values) <= FRESH_MEDIAN and max(values) <= FRESH_MOST

    @property
    def recurs(self) -> bool:
        """Whether a grain came back after others: a recording that runs in a loop.

        Neighbours must differ: a picture that stands still is the same again without being a recording.
        """
        neighbours = [row[0] for row in self._rows if row]
        if len(neighbours) < 2 or not all(pair.seen for pair in neighbours):
            return False
        if median(pair.correlation for pair in neighbours) > FRESH_MEDIAN:
            return False
        return any(pair.seen and pair.correlation >= AGAIN for row in self._rows for pair in row[1:])

    @property
    def seen(self) -> bool:
        """Whether the newest picture shows grain at all."""
        return bool(self._grains) and compare(self._grains[-1], self._grains[-1]).seen
