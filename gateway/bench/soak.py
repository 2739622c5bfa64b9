"""A soak: viewers come and go, some without a word, lines are cut, the source blinks; nothing of it may stay behind."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from gateway.bench.child import Answer, Child
from gateway.bench.contenders import Hosted, stream_name
from gateway.bench.fanout import best_engine
from gateway.bench.pictures import LOOPBACK, published, viewing
from gateway.bench.processes import open_files, rss_mb
from gateway.bench.run import Run

BLINK_EACH, VANISH_EACH, CUT_EACH = 10, 7, 25
"""Joins between two blinks of the source, two viewers that vanish, two cuts of a line."""
CUT_S = 3.0
STAYING = 2
"""Sessions that stand all the time: the source's and one viewer's."""
GONE_WITHIN_S = 60.0
"""Consent of a vanished viewer ends long before."""
SETTLED_WITHIN_S = 20.0
JUDGED_MINUTES = 5.0
"""Shorter soaks are no ground for a verdict on memory: caches fill."""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line that lies nearest to the points (least squares); 0 for fewer than two places."""
    if not points:
        return 0.0
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


class Course:
    """One soak: what stands, and what was noted."""

    def __init__(self, run: Run, load: Child, engine: Hosted, facts: Answer) -> None:
        self._run, self._load, self.engine = run, load, engine
        self._url, self._port = f"{facts['url']}/whep/{stream_name(0)}", int(facts["port"])
        self.pids = {"worker": int(facts["workers"][0]), "control": engine.host.pid}
        self.marks: dict[str, list[tuple[float, float]]] = {name: [] for name in self.pids}
        self.counts = dict.fromkeys(("joins", "vanished", "blinks", "cuts"), 0)
        self._seat = self._publisher = 0

    async def begin(self) -> None:
        """Let the source come, a viewer join and leave, and another one stay."""
        self._publisher = await published(self._run, self._load, self.engine, key_frame_s=1.0)
        await self._load.ask("join", url=self._url, codec="VP8")  # imports and caches are no viewer's
        self._seat = (
            await self._load.ask(
                "watch",
                url=self._url,
                codec="VP8",
                port=self._port,
                loss=0.0,
                jitter_s=0.0,
                seed=self._run.options.seed,
            )
        )["seat"]

    async def turn(self) -> None:
        """Let one viewer come and go, and now and then more happen."""
        self.counts["joins"] += 1
        number = self.counts["joins"]
        silent = number % VANISH_EACH == 0
        self.counts["vanished"] += silent
        await self._load.ask("join", url=self._url, codec="VP8", silent=silent)
        if number % BLINK_EACH == 0:
            self.counts["blinks"] += 1
            await self._load.ask("drop", peers=[self._publisher])
            self._publisher = await published(self._run, self._load, self.engine, key_frame_s=1.0)
        if number % CUT_EACH == 0:
            self.counts["cuts"] += 1
            await self._load.ask("cut", seat=self._seat, seconds=CUT_S, within_s=CUT_S + 60)
        for name, pid in self.pids.items():
            self.marks[name].append((number, rss_mb(pid)))

    async def end(self) -> None:
        """Let the source and the last viewer go."""
        await self._load.ask("drop", peers=[self._publisher, self._seat])


async def soak(run: Run) -> None:
    """Let viewers come and go for the minutes asked for; measure what worker and control keep of them."""
    minutes = run.options.soak_minutes or (0.1 if run.options.quick else 0.5)
    async with contextlib.AsyncExitStack() as stack:
        load = await stack.enter_async_context(viewing(run, LOOPBACK))
        _, engine = await best_engine(run, stack, "soak", LOOPBACK)
        course = Course(run, load, engine, await engine.host.ask("facts"))
        await course.begin()
        for _ in range(CUT_EACH):  # everything happened once: what is kept from then on is not of the first time
            await course.turn()
        await _emptied(engine, STAYING)
        before = await _census(engine, course.pids)
        until, told = time.monotonic() + minutes * 60, 0
        while time.monotonic() < until:
            await course.turn()
            if course.counts["joins"] >= told + 100:
                told = course.counts["joins"]
                run.say(f"soak: {told} joins, worker {course.marks['worker'][-1][1]:.0f} MB")
        run.figures.put("soak_sessions_too_many", await _emptied(engine, STAYING) - STAYING)
        after = await _settled(engine, course.pids, before)
        await course.end()
        run.figures.put("soak_sessions_left", await _emptied(engine, 0))
    run.figures.put("soak_minutes", minutes)
    for name, count in course.counts.items():
        run.figures.put(f"soak_{name}", count)
    for key, found in after.items():
        run.figures.put(f"soak_{key}_grown", found - before[key])
    for name, points in course.marks.items():
        half = points[len(points) // 2 :]  # the first half fills caches
        run.figures.put(f"soak_{name}_rss_mb", half[-1][1])
        run.figures.put(f"soak_{name}_rss_mb_per_1000_joins", slope(half) * 1000, len(half))
        if minutes >= JUDGED_MINUTES:
            run.figures.put(f"soak_{name}_leak_mb_per_1000_joins", slope(half) * 1000, len(half))


async def _census(engine: Hosted, pids: dict[str, int]) -> dict[str, int]:
    """Count descriptors of both processes and tasks of control."""
    counted = {f"{name}_files": open_files(pid) for name, pid in pids.items()}
    return {**counted, "control_tasks": (await engine.host.ask("tasks"))["tasks"]}


async def _settled(engine: Hosted, pids: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """Count again until nothing is more than before, or for some seconds: connections end after their requests."""
    until = time.monotonic() + SETTLED_WITHIN_S
    while True:
        found = await _census(engine, pids)
        if all(found[key] <= before[key] for key in found) or time.monotonic() > until:
            return found
        await asyncio.sleep(0.2)


async def _emptied(engine: Hosted, kept: int) -> int:
    """Wait until no more sessions than these are left; returns how many there are at last."""
    until = time.monotonic() + GONE_WITHIN_S
    while True:
        found = sum((await engine.host.ask("stats"))["sessions"].values())
        if found <= kept or time.monotonic() > until:
            return int(found)
        await asyncio.sleep(0.2)
