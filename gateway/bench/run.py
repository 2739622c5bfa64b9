"""One run: its options, its folder, its load, and what it has found so far."""

import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.bench.child import Child, child
from gateway.bench.figures import Figures
from gateway.bench.processes import machine
from gateway.bench.traffic import Recipe, record


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `scale` shrinks numbers of sessions, `small` the picture: for a quick look only."""

    host: str
    folder: Path
    rounds: int = 3
    window_s: float = 5.0
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    quick: bool = False
    scale: float = 1.0
    small: bool = False
    seed: int = 4
    long_cuts: bool = False
    soak_minutes: float = 0.0

    def sized(self, number: int, least: int = 1) -> int:
        """Return a number of sessions, shrunk."""
        return max(least, round(number * self.scale))


@dataclass(slots=True)
class Row:
    """One line of the table and one bar of the picture."""

    scenario: str
    contender: str
    us: list[float] = field(default_factory=list)
    delay_ms: list[float] = field(default_factory=list)
    lost: int = 0
    cpu_s: float = 0.0
    leg_s: float = 0.0
    packets: int = 0
    legs: int = 0
    profile: str = ""
    feedback: bool = False


@dataclass(slots=True)
class Run:
    """What scenarios share."""

    options: Options
    figures: Figures
    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def recipe(self, codec: str = "VP8", key_frame_s: float = 2.0, shade: int = 110) -> Recipe:
        """Name the traffic of a scenario."""
        if self.options.small:
            return Recipe(codec, key_frame_s, shade, loops=2, width=320, height=176, bitrate=400_000)
        return Recipe(codec, key_frame_s, shade)

    def traffic(self, recipe: Recipe) -> Path:
        """Return the file of a traffic, encoded on its first use."""
        if not recipe.file(self.options.folder).exists():
            self.say(
                f"encoding {recipe.codec} {recipe.width}x{recipe.height}, key frame each {recipe.key_frame_s:g} s ..."
            )
        return record(recipe, self.options.folder)

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[Child]:
        """Run the load for one scenario."""
        arguments = ["--host", self.options.host]
        async with child("load", "gateway.bench.load", arguments, self.options.folder, "load") as process:
            yield process

    def close(self) -> None:
        """Note what belongs to every run."""
        figures, options = self.figures, self.options
        figures.put("commit", commit())
        figures.put("machine", machine())
        figures.put("seed", options.seed)
        figures.put("quick", options.quick)
        figures.put("duration_s", round(time.monotonic() - self.began, 1))


def commit() -> str:
    """Return the commit of this checkout; an installed wheel has none and says so."""
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - found on PATH like any developer's tool
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def free_port() -> int:
    """Return a TCP port of loopback that is free together with the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
