"""The films of the cameras, coded once and kept: MP4 that an agent passes through packet by packet."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

from gateway.bench.corpus import GROUP, HEIGHT, RATE, WIDTH, Scene, pictures
from gateway.bench.rollcall.plan import FILM_S

KBPS = 400


def length(scene: Scene) -> float:
    """Return the seconds of a scene's film; what repeats packets is as long as one round."""
    return (scene.loop_s or 1.0) if scene.packets else FILM_S


async def shoot(films: Mapping[str, tuple[Scene, int]], folder: Path) -> dict[str, Path]:
    """Make the films that are not there yet, on all cores; returns their files."""
    files = {name: folder / f"{name}-{seed}.mp4" for name, (_, seed) in films.items()}
    missing = _missing(films, files)
    if missing:
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor() as pool:
            work = [loop.run_in_executor(pool, _shoot, scene, seed, file) for (scene, seed), file in missing]
            await asyncio.gather(*work)
    return files


def _missing(films: Mapping[str, tuple[Scene, int]], files: Mapping[str, Path]) -> list[tuple[tuple[Scene, int], Path]]:
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    return [(films[name], file) for name, file in files.items() if not file.exists()]


def _shoot(scene: Scene, seed: int, file: Path) -> None:
    import av

    coming = file.with_suffix(".part")
    with av.open(str(coming), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, RATE)
        stream.bit_rate, stream.gop_size, stream.max_b_frames = KBPS * 1000, GROUP, 0
        coder = stream.codec_context
        coder.thread_count = 1
        limits = f"keyint={GROUP}:scenecut=0:vbv-maxrate={KBPS}:vbv-bufsize={KBPS}"
        coder.options = {"preset": "veryfast", "tune": "zerolatency", "x264-params": limits}
        for number, frame in enumerate(_frames(scene, seed)):
            frame.pts = number
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    coming.rename(file)


def _frames(scene: Scene, seed: int) -> Iterator[Any]:
    import av
    import numpy as np

    for luma, blue, red in pictures(scene, seed, length(scene)):
        whole = np.concatenate([luma.reshape(-1), blue.reshape(-1), red.reshape(-1)])
        yield av.VideoFrame.from_ndarray(whole.reshape(HEIGHT * 3 // 2, WIDTH), format="yuv420p")
