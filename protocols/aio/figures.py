"""What a decoded picture says about itself in figures, for the rules of `protocols.picture` and `protocols.defects`.

Needs numpy and works on the planes of a 4:2:0 picture. Costs some milliseconds; larger pictures are thinned first.
"""

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from protocols.challenge import read as read_challenge
from protocols.grain import COLUMNS, EDGE, ROWS, SCALE
from protocols.picture import PictureFigures
from protocols.testmark import decode as read_mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[Any]

_SIDE = 640
"""Edges, stripes and colours are measured at about this width, so that one set of limits fits all cameras."""
_STRIPS = 4
_FINE = 64
_TINTS = 160
"""Colours are looked at in about so many places across."""


def figures_of(luma: "Plane", blue: "Plane", red: "Plane") -> PictureFigures:
    """Return the figures of one picture (planes of 8 bit; chroma at half size)."""
    height, width = luma.shape

    def at(x: int, y: int) -> float:
        return float(luma[min(max(y, 0), height - 1), min(max(x, 0), width - 1)])

    mark = read_mark(width, height, at)
    small = _thin(luma)
    edges, span = _edges(small)
    return PictureFigures(
        exact=hashlib.blake2b(luma.tobytes(), digest_size=16).hexdigest(),
        grain=grain_of(luma),
        edges=edges,
        span=span,
        cast=_cast(luma, blue, red),
        stripes=max(_stripes(small), _stripes(small.T)),
        mark=None if mark is None else (mark.code, mark.drawn_ms),
        challenge=read_challenge(width, height, at),
    )


def grain_of(luma: "Plane") -> bytes:
    """Return the grain of a picture (see `protocols.grain`)."""
    import numpy as np

    height, width = luma.shape
    if height < ROWS * EDGE or width < COLUMNS * EDGE:
        return b""
    tops = np.linspace(0, height - EDGE, ROWS).astype(int)
    lefts = np.linspace(0, width - EDGE, COLUMNS).astype(int)
    rows = (tops[:, None] + np.arange(EDGE)).reshape(-1)
    columns = (lefts[:, None] + np.arange(EDGE)).reshape(-1)
    picked = luma[np.ix_(rows, columns)].astype(np.float32)
    blocks = picked.reshape(ROWS, EDGE, COLUMNS, EDGE).transpose(0, 2, 1, 3).reshape(-1, EDGE * EDGE)
    rest = blocks - blocks @ _slope()
    return bytes(np.clip(np.rint(rest * SCALE), -128, 127).astype(np.int8).tobytes())


@lru_cache(maxsize=1)
def _slope() -> "Plane":
    """Return the projection of a block on its plane: brightness and slope."""
    import numpy as np

    y, x = np.mgrid[0:EDGE, 0:EDGE]
    planes = np.stack([np.ones(EDGE * EDGE), x.reshape(-1), y.reshape(-1)], axis=1)
    return np.asarray(planes @ np.linalg.pinv(planes), dtype=np.float32)


def _thin(luma: "Plane") -> "Plane":
    """Average whole squares of pixels until the picture is about `_SIDE` wide."""
    import numpy as np

    step = max(1, round(luma.shape[1] / _SIDE))
    height, width = luma.shape[0] // step * step, luma.shape[1] // step * step
    total = np.zeros((height // step, width // step), np.float32)
    for row in range(step):
        for column in range(step):
            total += luma[row:height:step, column:width:step]
    return np.asarray(total / (step * step))


def _edges(small: "Plane") -> tuple[float, float]:
    """Return the steepest step between pixels 2 apart (noise smoothed away), and the span of brightness."""
    import numpy as np

    if min(small.shape) < 16:
        return 0.0, 0.0
    smooth = _box(small)
    across = np.abs(smooth[::2, 2:] - smooth[::2, :-2])
    down = np.abs(smooth[2:, ::2] - smooth[:-2, ::2])
    steep = max(_share(across, 0.998), _share(down, 0.998))
    dots = small[::2, ::2]
    return round(steep, 2), round(_share(dots, 0.99) - _share(dots, 0.01), 2)


def _share(values: "Plane", part: float) -> float:
    """Return the value, to 1 / `_FINE`, that this part of all values (0 to 255) does not exceed.

    Counted and not sorted: a black picture has one value everywhere, at which a selection takes ten times as long.
    """
    import numpy as np

    flat = values.reshape(-1)
    counts = np.bincount((flat * np.float32(_FINE) + np.float32(0.5)).astype(np.int32))
    place = min(len(flat) - 1, int(part * len(flat)))
    return float(np.searchsorted(np.cumsum(counts), place, side="right")) / _FINE


def _box(plane: "Plane") -> "Plane":
    """Smooth a picture with a square of five pixels, so that noise makes no edges."""
    rows = plane[:-4] + plane[1:-3] + plane[2:-2] + plane[3:-1] + plane[4:]
    smooth: Plane = (rows[:, :-4] + rows[:, 1:-3] + rows[:, 2:-2] + rows[:, 3:-1] + rows[:, 4:]) / 25
    return smooth


def _cast(luma: "Plane", blue: "Plane", red: "Plane") -> float:
    """Return the tint that dark, middle and bright parts share, in steps of chroma; 0 where they do not agree."""
    import numpy as np

    step = max(1, round(blue.shape[1] / _TINTS))
    blue, red = blue[::step, ::step], red[::step, ::step]
    grey = luma[:: 2 * step, :: 2 * step]
    height, width = min(grey.shape[0], blue.shape[0]), min(grey.shape[1], blue.shape[1])
    grey = grey[:height, :width].reshape(-1)
    b, r = (plane[:height, :width].reshape(-1).astype(np.float32) - 128 for plane in (blue, red))
    low, high = _share(grey, 0.33), _share(grey, 0.67)
    parts = (grey <= low, (grey > low) & (grey < high), grey >= high)
    tints = [(float(b[part].mean()), float(r[part].mean())) for part in parts if part.any()]
    mean = (sum(t[0] for t in tints) / len(tints), sum(t[1] for t in tints) / len(tints))
    length = float(np.hypot(*mean))
    if length == 0:
        return 0.0
    shared = min((t[0] * mean[0] + t[1] * mean[1]) / length for t in tints)
    spread = float(np.hypot(b - mean[0], r - mean[1]).mean())
    return round(max(0.0, shared - spread), 2)


def _stripes(small: "Plane") -> float:
    """Return the amplitude of a regular pattern that runs across the whole picture, in steps of brightness."""
    import numpy as np

    if min(small.shape) < 32:
        return 0.0
    strips = [part.mean(axis=1) for part in np.array_split(small, _STRIPS, axis=1)]
    length = len(strips[0])
    window = np.hanning(length)
    ramp = np.arange(length)
    spectra = []
    for strip in strips:
        level = strip - np.polyval(np.polyfit(ramp, strip, 2), ramp)
        spectra.append(np.fft.rfft(level * window) * 4 / length)
    # What all strips have in common, in phase: furniture is somewhere, interference is everywhere.
    common = np.abs(np.mean(spectra, axis=0))
    least = np.min(np.abs(spectra), axis=0)
    lines = slice(6, length // 2)
    peak = int(np.argmax(common[lines])) + 6
    around = np.delete(common[6 : length // 2], slice(max(0, peak - 8), peak - 3))
    rest = float(np.sqrt((around**2).sum())) if len(around) else 0.0
    strength = float(min(common[peak], least[peak]))
    return round(strength, 2) if strength > 2 * rest else 0.0
