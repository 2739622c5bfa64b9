"""Pictures whose truth is known, through x264 as a camera would code them: what the judges of pictures are judged by.

Everything comes from the seed. The room is lit like a hall at night; its noise is that of a sensor at high gain, white
or blurred as a camera's own cleaning leaves it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

WIDTH, HEIGHT, RATE = 640, 360, 10
GROUP = 10
"""A key frame each second."""
KBPS = (300, 1000, 3000)
LIMIT = "long recording, nothing demanded"
"""Nothing in the picture tells a recording that is longer than the watch from life; told as the limit that it is."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One camera of the corpus. `truth` is what may be said of it, the word that is wished for first."""

    name: str
    truth: tuple[str, ...]
    noise: float = 2.0
    softness: float = 0.0
    loop_s: float | None = None
    """The recording that is shown again and again; coded anew unless `packets`."""
    still: bool = False
    """One picture is repeated by whatever stands before the encoder."""
    packets: bool = False
    """Coded packets are repeated: the loop's, or those of the first group of a still picture."""
    defect: str = ""
    demanded: bool = False
    """The roll call asks for the challenge number or a clock, and the picture has none."""
    level: float = 45.0
    rates: tuple[int, ...] = field(default=KBPS)


def scenes() -> list[Scene]:
    """Return the corpus."""
    found = []
    for noise, softness in ((1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (2.0, 0.8), (3.0, 1.2)):
        name = f"noise {noise:g}" + (f" soft {softness:g}" if softness else "")
        found += [
            Scene(f"night, {name}", ("live", "unproven"), noise, softness),
            Scene(f"night repeated anew, {name}", ("frozen", "unproven"), noise, softness, still=True),
            Scene(f"loop of 4 s anew, {name}", ("replay", "unproven"), noise, softness, loop_s=4.0),
        ]
    return [
        *found,
        Scene("night, no noise", ("unproven",), 0.0),
        Scene("night repeated packets", ("frozen", "unproven"), still=True, packets=True),
        Scene("loop of 4 s, packets", ("replay", "unproven"), loop_s=4.0, packets=True),
        Scene("long recording, number demanded", ("unproven",), loop_s=60.0, demanded=True, rates=(1000,)),
        Scene(LIMIT, ("live", "replay", "unproven"), loop_s=60.0, rates=(1000,)),
        Scene("day, somebody walks", ("live",), level=110.0, defect="walker", rates=(1000,)),
        Scene("black", ("black",), 0.5, defect="black", rates=(300, 1000)),
        Scene("covered", ("covered",), 1.0, defect="covered", rates=(300, 1000)),
        Scene("hand before the lens", ("covered",), 1.0, defect="hand", rates=(300, 1000)),
        Scene("blurred", ("blurred",), 2.0, defect="blurred", level=90.0, rates=(1000, 3000)),
        Scene("colour cast", ("colour_cast",), 2.0, defect="colour_cast", level=90.0, rates=(1000, 3000)),
        Scene("stripes", ("stripes",), 2.0, defect="stripes", level=90.0, rates=(1000, 3000)),
    ]


def room(seed: int, level: float) -> "NDArray[Any]":
    """Return a hall without noise: light that falls off, furniture, a carpet with a pattern."""
    import numpy as np

    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    lamp = draw.integers(100, WIDTH - 100)
    hall = level + 25 * np.exp(-((x - lamp) ** 2 + (y - 90) ** 2) / 60_000) - 10 * y / HEIGHT
    for _ in range(12):
        left, top = draw.integers(0, WIDTH - 80), draw.integers(60, HEIGHT - 60)
        wide, high = draw.integers(30, 150), draw.integers(20, 120)
        part = (slice(top, top + high), slice(left, left + wide))
        hall[part] = hall[part] * 0.4 + draw.integers(15, round(2.4 * level)) * 0.6
    hall[HEIGHT - 60 :] += 6 * np.sin(x[HEIGHT - 60 :] * 0.9) * np.sin(y[HEIGHT - 60 :] * 0.7)
    return np.asarray(hall)


def _grain(draw: "np.random.Generator", scene: Scene) -> "NDArray[Any]":
    import cv2
    import numpy as np

    grain: NDArray[Any] = draw.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    if scene.softness:
        grain = cv2.GaussianBlur(grain, (0, 0), scene.softness)
        grain = grain / grain.std()
    return np.asarray(grain * scene.noise)


def pictures(scene: Scene, seed: int, seconds: float) -> Iterator["tuple[Picture, Picture, Picture]"]:
    """Yield the planes of each picture."""
    import numpy as np

    draw = np.random.default_rng(seed + 7919)
    hall, kept = room(seed, scene.level), list["Picture"]()
    marred = _marred(hall, scene, 0)
    span = 1 if scene.still else round(scene.loop_s * RATE) if scene.loop_s else 0
    for number in range(round(seconds * RATE)):
        if not span or len(kept) < span:
            marred = _marred(hall, scene, number) if scene.defect == "walker" else marred
            shown = np.clip(np.rint(marred + _grain(draw, scene)), 16, 235).astype(np.uint8)
            kept = [*kept, shown] if span else [shown]
        yield kept[number % span if span else 0], *_chroma(scene, kept[number % span if span else 0])


def _marred(hall: "NDArray[Any]", scene: Scene, number: int) -> "NDArray[Any]":
    import cv2
    import numpy as np

    shown: NDArray[Any] = hall.copy()
    match scene.defect:
        case "black":
            shown[:] = 16.0
        case "covered":
            shown[:] = 60.0
        case "hand":
            y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
            shown[:] = 40 + 50 * np.exp(-((x - 300) ** 2 + (y - 100) ** 2) / 90_000)
        case "blurred":
            shown[:] = cv2.GaussianBlur(hall, (0, 0), 7.0)
        case "stripes":
            shown += 14 * np.sin(np.arange(HEIGHT) * 2 * np.pi / 12)[:, None]
        case "walker":
            left = (number * 9) % (WIDTH - 60)
            shown[120:320, left : left + 60] = 30
        case _:
            pass
    return shown


def _chroma(scene: Scene, luma: "Picture") -> "tuple[Picture, Picture]":
    import numpy as np

    tint = (24.0, -10.0) if scene.defect == "colour_cast" else (0.0, 0.0)
    small = luma[::2, ::2].astype(np.float32)
    warm = (small - small.mean()) * 0.1
    found = (128 - warm + tint[0], 128 + warm + tint[1])
    blue, red = (np.clip(np.rint(plane), 16, 240).astype(np.uint8) for plane in found)
    return blue, red


def coded(scene: Scene, seed: int, kbps: int, seconds: float) -> list[tuple[bool, bytes]]:
    """Return access units with whether they are key frames, as a camera at a constant bit rate would send them."""
    if not scene.packets:
        return _encode(pictures(scene, seed, seconds), kbps)
    once = _encode(pictures(scene, seed, scene.loop_s or 1.0), kbps)
    return [once[number % len(once)] for number in range(round(seconds * RATE))]


def _encode(planes: "Iterator[tuple[Picture, Picture, Picture]]", kbps: int) -> list[tuple[bool, bytes]]:
    import av
    import numpy as np

    coder: Any = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    coder.time_base, coder.framerate = Fraction(1, RATE), RATE
    coder.bit_rate, coder.gop_size, coder.max_b_frames, coder.thread_count = kbps * 1000, GROUP, 0, 1
    limits = f"keyint={GROUP}:scenecut=0:vbv-maxrate={kbps}:vbv-bufsize={kbps}"
    coder.options = {"preset": "veryfast", "tune": "zerolatency", "x264-params": limits}
    units = []
    for number, (luma, blue, red) in enumerate(planes):
        whole = np.concatenate([luma.reshape(-1), blue.reshape(-1), red.reshape(-1)])
        frame = av.VideoFrame.from_ndarray(whole.reshape(HEIGHT * 3 // 2, WIDTH), format="yuv420p")
        frame.pts = number
        units += [(packet.is_keyframe, bytes(packet)) for packet in coder.encode(frame)]
    return units + [(packet.is_keyframe, bytes(packet)) for packet in coder.encode(None)]
