"""The film of the demo: a river bank rendered frame by frame, so that no recording has to be shipped.

It looks like a surveillance camera at dusk: clouds, running water with glints, swaying reeds, a passing boat, rain and
the noise of a sensor. No clock and no mark: it is what a plain recording is, hence the label 录像演示.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH, HEIGHT, FRAME_RATE, SECONDS = 640, 360, 15, 20
_HORIZON = 150
_BANK = 300


def make_film(path: Path) -> None:
    """Render the film to `path` unless it is there; takes some seconds of one core. H.264 without B-frames."""
    if path.exists():
        return
    import av

    draft = path.with_suffix(".draft.mp4")
    with av.open(str(draft), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {
            "preset": "veryfast",
            "profile": "baseline",
            "bf": "0",
            "g": str(FRAME_RATE),
            "keyint_min": str(FRAME_RATE),
            "sc_threshold": "0",
            "crf": "27",
        }
        scene = Scene()
        for number in range(FRAME_RATE * SECONDS):
            frame = av.VideoFrame.from_ndarray(scene.draw(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    draft.replace(path)


class Scene:
    """The river; all motion repeats after `SECONDS`, so that the loop has no seam."""

    def __init__(self) -> None:
        import numpy as np

        self._random = np.random.default_rng(4)
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        self._rows, self._columns = rows, columns
        self._ground = self._still_parts()
        self._reeds = self._random.uniform(0, WIDTH, 90), self._random.uniform(20, 60, 90)

    def draw(self, number: int) -> "NDArray[np.uint8]":
        """Return picture `number` as RGB."""
        import numpy as np

        turn = 2 * np.pi * number / (FRAME_RATE * SECONDS)
        picture = self._ground.copy()
        self._clouds(picture, turn)
        self._water(picture, turn)
        self._boat(picture, number)
        self._sway(picture, turn)
        noise = self._random.normal(0, 3.0, (HEIGHT, WIDTH, 1)).astype(np.float32)
        seen: NDArray[np.uint8] = np.clip(picture + noise, 0, 255).astype(np.uint8)
        return seen

    def _still_parts(self) -> "NDArray[np.float32]":
        import numpy as np

        picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        sky = (self._rows[:_HORIZON] / _HORIZON)[..., None]
        picture[:_HORIZON] = (1 - sky) * np.array([92, 112, 138]) + sky * np.array([196, 178, 158])
        hills = _HORIZON - 22 - 12 * np.sin(self._columns[0] / 61) - 8 * np.sin(self._columns[0] / 23 + 1)
        for column in range(WIDTH):
            picture[int(hills[column]) : _HORIZON, column] = (58, 72, 66)
        for left, width, height in ((60, 26, 48), (96, 40, 30), (430, 22, 62), (470, 46, 26), (540, 18, 40)):
            picture[_HORIZON - height : _HORIZON, left : left + width] = (74, 74, 80)
            picture[_HORIZON - height + 5 : _HORIZON - 4 : 9, left + 4 : left + width - 3 : 7] = (214, 186, 110)
        picture[_BANK:] = (66, 70, 48)
        return picture

    def _clouds(self, picture: "NDArray[np.float32]", turn: float) -> None:
        import numpy as np

        sky = slice(0, _HORIZON - 40)
        drift = self._columns[sky] * 2 * np.pi / WIDTH
        cloud = np.sin(2 * drift - turn + self._rows[sky] / 17) + np.sin(3 * drift + turn + self._rows[sky] / 9)
        fade = np.clip(1 - self._rows[sky] / (_HORIZON - 40), 0, 1)
        picture[sky] += (np.clip(cloud, 0, 2) * 18 * fade)[..., None]

    def _water(self, picture: "NDArray[np.float32]", turn: float) -> None:
        import numpy as np

        part = slice(_HORIZON, _BANK)
        depth = self._rows[part] - _HORIZON
        wave = np.sin(depth * 0.9 - 40 * turn + self._columns[part] / (5 + depth / 6))
        wave += np.sin(self._columns[part] / 13 + depth * 0.35 + 24 * turn)
        picture[part] = np.array([74, 92, 98], np.float32) + (depth / 6)[..., None] * -0.6
        picture[part] += (wave * 9)[..., None] + ((wave > 1.75) * 50)[..., None]

    def _boat(self, picture: "NDArray[np.float32]", number: int) -> None:
        at = number * (WIDTH + 120) // (FRAME_RATE * SECONDS) - 110
        left, right = max(0, at), max(0, min(WIDTH, at + 100))
        picture[205:222, left:right] = (52, 44, 40)
        left, right = max(0, at + 58), max(0, min(WIDTH, at + 84))
        picture[186:206, left:right] = (176, 172, 160)

    def _sway(self, picture: "NDArray[np.float32]", turn: float) -> None:
        import numpy as np

        for root, height in zip(*self._reeds, strict=True):
            steps = np.arange(int(height))
            lean = np.sin(12 * turn + root / 40) * (steps / height) ** 2 * 14
            columns = np.clip(root + lean, 0, WIDTH - 2).astype(int)
            rows = HEIGHT - 14 - steps
            picture[rows, columns] = (98, 112, 58)
            picture[rows, columns + 1] = (84, 98, 50)
