"""The live test card: a picture that proves which centre it shows and how old it is.

Real clock, the centre's name, a moving hand, and the machine-readable mark of `protocols.testmark`. Shared by the
agent's camera kind `testcard` and the demonstration's RTSP camera, so that one judge reads both.
"""

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING

from protocols.testmark import COLUMNS, ROWS, blocks, box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

CHINA = timezone(timedelta(hours=8))
"""Wall clocks in the command halls show Beijing time."""


def tone_hz(code: str) -> int:
    """Return the frequency of a centre's steady tone: 500 to 1480 Hz, 20 Hz apart, distinct within a city."""
    return 500 + 20 * (int(code) % 50)


class TestCard:
    """Draws the card of one centre. Not safe for use from several threads at once."""

    __test__ = False  # the name makes test runners curious

    def __init__(self, code: str, name: str, title: str = "", *, width: int = 640, height: int = 360) -> None:
        self.code = code
        self.width = width
        self.height = height
        self._ground = _ground(code, name, title, width, height)
        self._second = -1
        self._dated = self._ground

    def draw(self, now: datetime) -> "Picture":
        """Return a new BGR picture of the moment `now` (aware)."""
        import cv2

        unix_ms = int(now.timestamp() * 1000)
        if unix_ms // 1000 != self._second:
            self._second = unix_ms // 1000
            self._dated = self._ground.copy()
            self._clock(now)
        picture = self._dated.copy()
        self._hand(picture, unix_ms)
        for row, bits in enumerate(blocks(self.code, unix_ms)):
            for column, bit in enumerate(bits):
                left, top, right, bottom = box(self.width, self.height, row, column)
                picture[top:bottom, left:right] = 255 if bit else 0
        cv2.putText(
            picture,
            f".{unix_ms // 100 % 10}",
            (round(self.width * 0.72), round(self.height * 0.56)),
            cv2.FONT_HERSHEY_SIMPLEX,
            self.width / 640,
            (240, 240, 240),
            2,
        )
        return picture

    def _clock(self, now: datetime) -> None:
        import cv2

        local = now.astimezone(CHINA)
        left, scale = round(self.width * 0.05), self.width / 640
        cv2.putText(
            self._dated,
            local.strftime("%H:%M:%S"),
            (round(self.width * 0.3), round(self.height * 0.56)),
            cv2.FONT_HERSHEY_SIMPLEX,
            1.9 * scale,
            (240, 240, 240),
            max(2, round(3 * scale)),
        )
        cv2.putText(
            self._dated,
            local.strftime("%Y-%m-%d"),
            (left, round(self.height * 0.56)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.8 * scale,
            (200, 200, 200),
            max(1, round(2 * scale)),
        )

    def _hand(self, picture: "Picture", unix_ms: int) -> None:
        import cv2

        edge = self.width // 16
        way = self.width - edge
        at = (unix_ms % 4000) * way // 4000
        top = round(self.height * 0.64)
        cv2.rectangle(picture, (at, top), (at + edge, top + self.height // 24), (60, 200, 255), -1)


@lru_cache(maxsize=8)
def _hue(code: str) -> tuple[int, int, int]:
    import cv2
    import numpy as np

    one = np.full((1, 1, 3), (int(code) * 37 % 180, 150, 90), np.uint8)
    blue, green, red = (int(part) for part in cv2.cvtColor(one, cv2.COLOR_HSV2BGR)[0, 0])
    return blue, green, red


def _ground(code: str, name: str, title: str, width: int, height: int) -> "Picture":
    """Draw what never changes: colour, colour bars, name and a dark field behind the mark."""
    import cv2
    import numpy as np

    picture = np.full((height, width, 3), _hue(code), np.uint8)
    bars = [
        (235, 235, 235),
        (20, 235, 235),
        (235, 235, 20),
        (20, 235, 20),
        (235, 20, 235),
        (20, 20, 235),
        (235, 20, 20),
    ]
    edge = width / len(bars)
    for number, colour in enumerate(bars):
        picture[: height // 14, round(number * edge) : round((number + 1) * edge)] = colour
    font, left = cv2.FontFace("sans"), round(width * 0.05)
    cv2.putText(picture, name, (left, round(height * 0.24)), (255, 255, 255), font, round(height * 0.13), 700)
    second = f"{code}  {title}".strip()
    cv2.putText(picture, second, (left, round(height * 0.36)), (220, 220, 220), font, round(height * 0.07), 400)
    _, top, _, _ = box(width, height, 0, 0)
    _, _, right, _ = box(width, height, ROWS - 1, COLUMNS - 1)
    picture[top - height // 40 :, : right + width // 48] = 40
    return picture
