"""The layers of a raw camera: `main` and `thumb` are coded from the same picture, each only while somebody reads it."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_agent.cameras.feed import Feed
from protocols.aio.h264 import CLOCK, Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[Any]

logger = logging.getLogger(__name__)
THUMB_WIDTH, THUMB_HEIGHT = 320, 180
THUMB_RATE = 12
THUMB_KBPS = 150
THUMB_KEY_S = 1.5
LEAST_KBPS: Mapping[str, int] = {"main": 100, "thumb": 50}
"""Below this a picture is mud: a line that carries less is named instead."""
_KEY_REQUEST_S = 0.3
"""Key frames are given at most this often on request: each costs ten delta frames."""
_RETUNE = 0.1
"""A target that differs by less than this share is not worth a change."""


def fit(width: int, height: int, most_width: int, most_height: int) -> tuple[int, int]:
    """Return the largest even size of the same shape inside the bounds; never larger than the picture."""
    scale = min(1.0, most_width / width, most_height / height)
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


class LayerEncoder:
    """One layer, in the camera's thread: `due` tells whether the next picture is for it, `encode` takes that picture.

    `target_kbps` may be set from any thread; it is kept within `ceiling_kbps` and takes effect with the next picture.
    """

    def __init__(self, name: str, feed: Feed, *, rate: int, kbps: int, key_s: float, thinned: bool = False) -> None:
        self.name = name
        self.feed = feed
        self.ceiling_kbps = kbps
        self.floor_kbps = min(kbps, LEAST_KBPS[name])
        self.target_kbps = kbps
        self.encoded = 0
        """Pictures coded since the start."""
        self.retunes = 0
        self.running = False
        self._rate = rate
        self._key_s = key_s
        self._thinned = thinned
        self._encoder: Encoder | None = None
        self._size = (0, 0)
        self._kbps = self._opened_kbps = kbps
        self._key_at = 0.0
        self._due = 0.0

    def due(self, now: float) -> bool:
        """Tell whether the picture of `now` is wanted; ends the encoder once nobody reads."""
        if not self.feed.wanted:
            self.end()
            return False
        return not self._thinned or now >= self._due

    def encode(self, picture: "Picture", now: float, epoch: float) -> None:
        """Code one BGR picture; time stamps count from `epoch`."""
        if self._thinned:
            step = 1 / self._rate
            self._due = max(self._due + step, now - step / 4)
            picture = _small(picture)
        encoder = self._ready(picture, now)
        key = now - self._key_at >= _KEY_REQUEST_S and self.feed.take_key_request()
        units = encoder.encode(picture, int((now - epoch) * CLOCK), now, key=key)
        self.encoded += 1
        for unit in units:
            if unit.key:
                self._key_at = now
            self.feed.put(unit)

    def _ready(self, picture: "Picture", now: float) -> Encoder:
        size, wished = (picture.shape[1], picture.shape[0]), self.wished_kbps
        # x264 follows a rate downwards and back at once, but never beyond that of its start: for more it is opened
        # anew where a key frame is due anyway.
        outgrown = wished > self._opened_kbps * (1 + _RETUNE) and now - self._key_at >= self._key_s
        if self._encoder is None or size != self._size or outgrown:
            self.retunes += outgrown and self._encoder is not None
            self.end()
            self._size, self._kbps, self._opened_kbps = size, wished, wished
            self._encoder = Encoder(*size, self._rate, wished, self._key_s)
            self.running = True
            self.feed.take_key_request()  # its first picture is one
            self._key_at = now
        aim = min(wished, self._opened_kbps)
        if abs(aim - self._kbps) > self._kbps * _RETUNE:
            self._kbps = aim
            self.retunes += 1
            self._encoder.retune(aim)
        return self._encoder

    @property
    def wished_kbps(self) -> int:
        """The target within its bounds."""
        return max(self.floor_kbps, min(self.ceiling_kbps, self.target_kbps))

    def end(self) -> None:
        """Free the encoder; what was asked of the old one is no wish to the next."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
            self.running = False


def _small(picture: "Picture") -> "Picture":
    import cv2

    height, width = picture.shape[:2]
    size = fit(width, height, THUMB_WIDTH, THUMB_HEIGHT)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
