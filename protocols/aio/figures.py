"""What a decoded picture says about itself in figures, for the rules of `protocols.picture` and `protocols.defects`.

Needs numpy and OpenCV, and works on the planes of a 4:2:0 picture. A hundred counties that are looked at every second
and a half have each picture measured, so what is done to every pixel is done by OpenCV; larger pictures are thinned
first.
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
_LEVELS = 255 * _FINE + 1
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
    import cv2
    import numpy as np

    step = max(1, round(luma.shape[1] / _SIDE))
    exact = luma.astype(np.float32)
    if step == 1:
        return exact
    height, width = luma.shape[0] // step, luma.shape[1] // step
    whole = exact[: height * step, : width * step]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))


def _edges(small: "Plane") -> tuple[float, float]:
    """Return the steepest step between pixels 2 apart (noise smoothed away), and the span of brightness."""
    import cv2

    if min(small.shape) < 16:
        return 0.0, 0.0
    # Noise shall make no edges. Where the square of five pixels would reach beyond the picture nothing is measured.
    smooth = cv2.boxFilter(small, -1, (5, 5))[2:-2, 2:-2]
    across = cv2.absdiff(smooth[::2, 2:], smooth[::2, :-2])
    down = cv2.absdiff(smooth[2:, ::2], smooth[:-2, ::2])
    steep = max(_shares(across, 0.998)[0], _shares(down, 0.998)[0])
    darkest, brightest = _shares(small[::2, ::2], 0.01, 0.99)
    return round(steep, 2), round(brightest - darkest, 2)


def _shares(values: "Plane", *parts: float) -> list[float]:
    """Return the values, to 1 / `_FINE`, that these parts of all values (0 to 255) do not exceed.

    Counted and not sorted: a black picture has one value everywhere, at which a selection takes ten times as long.
    """
    import cv2
    import numpy as np

    fine = (values * np.float32(_FINE) + np.float32(0.5)).astype(np.uint16)
    counts = cv2.calcHist([fine], [0], None, [_LEVELS], [0, _LEVELS]).reshape(-1)
    sums = np.cumsum(counts, dtype=np.float64)
    places = [min(values.size - 1, int(part * values.size)) for part in parts]
    return [float(place) / _FINE for place in np.searchsorted(sums, places, side="right")]


def _cast(luma: "Plane", blue: "Plane", red: "Plane") -> float:
    """Return the tint that dark, middle and bright parts share, in steps of chroma; 0 where they do not agree."""
    import numpy as np

    step = max(1, round(blue.shape[1] / _TINTS))
    blue, red = blue[::step, ::step], red[::step, ::step]
    grey = luma[:: 2 * step, :: 2 * step]
    height, width = min(grey.shape[0], blue.shape[0]), min(grey.shape[1], blue.shape[1])
    grey = np.ascontiguousarray(grey[:height, :width])
    tint = np.stack([plane[:height, :width].reshape(-1) for plane in (blue, red)]).astype(np.float32) - 128
    low, high = _shares(grey, 0.33, 0.67)
    grey = grey.reshape(-1)
    parts = np.stack([grey <= low, (grey > low) & (grey < high), grey >= high]).astype(np.float32)
    sizes = parts.sum(axis=1)
    tints = (parts @ tint.T)[sizes > 0] / sizes[sizes > 0, None]
    mean = tints.mean(axis=0)
    length = float(np.hypot(*mean))
    if length == 0:
        return 0.0
    shared = float((tints @ mean).min()) / length
    spread = float(np.hypot(*(tint - mean[:, None])).mean())
    return round(max(0.0, shared - spread), 2)


def _stripes(small: "Plane") -> float:
    """Return the amplitude of a regular pattern of lines across the whole picture, in steps of brightness."""
    import numpy as np

    if min(small.shape) < 32:
        return 0.0
    length = small.shape[0]
    strips = np.stack([part.mean(axis=1) for part in np.array_split(small, _STRIPS, axis=1)])
    window, curve = _bases(length)
    level = strips - strips @ curve @ curve.T
    spectra = np.fft.rfft(level * window, axis=1) * 4 / length
    # What all strips have in common, in phase: furniture is somewhere, interference is everywhere.
    common = np.abs(spectra.mean(axis=0))
    least = np.abs(spectra).min(axis=0)
    lines = slice(6, length // 2)
    peak = int(np.argmax(common[lines])) + 6
    around = np.delete(common[6 : length // 2], slice(max(0, peak - 8), peak - 3))
    rest = float(np.sqrt((around**2).sum())) if len(around) else 0.0
    strength = float(min(common[peak], least[peak]))
    return round(strength, 2) if strength > 2 * rest else 0.0


@lru_cache(maxsize=16)
def _bases(length: int) -> "tuple[Plane, Plane]":
    """Return a window, and what spans level, slope and curve: light falls unevenly into a room."""
    import numpy as np

    ramp = np.linspace(-1, 1, length)
    return np.hanning(length), np.linalg.qr(np.stack([np.ones(length), ramp, ramp**2], axis=1))[0]
