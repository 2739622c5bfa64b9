"""Supervised tasks: each has a name, none is orphaned, a crashed one comes back after a pause and is counted."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from protocols.aio.clock import Clock, SystemClock
from protocols.backoff import Backoff
from protocols.errors import StoreAwayError

logger = logging.getLogger(__name__)
Work = Callable[[], Awaitable[None]]
SETTLED_S = 60.0
"""A task that ran this long has its back-off reset."""
PASSING = Backoff(base=0.5, cap=2.0, floor=0.1)
"""Pauses while the database is away: what it keeps waiting (timers, messages) is late enough."""


@dataclass(slots=True)
class TaskFigure:
    """What `/debug/tasks` shows of one task."""

    name: str
    state: str  # running, pausing, ended, failed
    restarts: int = 0
    last_error: str = ""


class Supervisor:
    """Owns tasks from `async with` to its end: leaving cancels all of them and waits until each has ended.

    `counters` has `started`, `restarted` and `failed`; a task that returns has simply ended. A database that
    is away (StoreAwayError) is one line in the log for each task, and none while it lasts.
    """

    def __init__(self, name: str, *, clock: Clock | None = None, backoff: Backoff | None = None) -> None:
        self.name = name
        self.counters: Counter[str] = Counter()
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._figures: dict[str, TaskFigure] = {}

    async def __aenter__(self) -> "Supervisor":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self, name: str, work: Work, *, restart: bool = True) -> None:
        """Run `work()` under `name`; with `restart`, an exception restarts it after a jittered pause, for ever.

        A running task of the same name makes this an AssertionError: names are unique. Without `restart` an exception
        ends the task, is logged and counted as `failed`.
        """
        running = self._tasks.get(name)
        if running is not None and not running.done():
            raise AssertionError(f"task {name!r} of {self.name} runs already")
        self._figures[name] = TaskFigure(name, "running")
        self.counters["started"] += 1
        # The one place that may make a bare task: this class keeps it, watches it and awaits it.
        task = asyncio.get_running_loop().create_task(self._watch(name, work, restart=restart), name=name)
        self._tasks[name] = task
        if not restart:
            task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, done: "asyncio.Task[None]") -> None:
        """Drop an ended one-off task, unless its name has been given to another meanwhile."""
        if self._tasks.get(name) is done:
            del self._tasks[name]
            self._figures.pop(name, None)

    async def cancel(self, name: str) -> None:
        """Cancel one task and wait for its end; unknown names are fine."""
        task = self._tasks.pop(name, None)
        self._figures.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def running(self, name: str) -> bool:
        """Tell whether the task is alive (a pause before a restart counts as alive)."""
        task = self._tasks.get(name)
        return task is not None and not task.done()

    def figures(self) -> list[TaskFigure]:
        """Return a figure per known task."""
        return list(self._figures.values())

    async def _watch(self, name: str, work: Work, *, restart: bool) -> None:
        figure = self._figures[name]
        attempt = 0
        while True:
            began = self._clock.monotonic()
            failure: Exception
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - logged by _say; the task comes back
                failure = error
                attempt = 0 if self._clock.monotonic() - began > SETTLED_S else attempt
                figure.last_error = f"{type(error).__name__}: {error}"
                self.counters["restarted" if restart else "failed"] += 1
                self._say(name, error, restart=restart, again=attempt > 0)
            else:
                figure.state = "ended"
                return
            if not restart:
                figure.state = "failed"
                return
            figure.state, figure.restarts = "pausing", figure.restarts + 1
            backoff = PASSING if _passes(failure) else self._backoff
            await self._clock.sleep(backoff.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret
            attempt += 1
            figure.state = "running"

    def _say(self, name: str, error: Exception, *, restart: bool, again: bool) -> None:
        """Log a failure: one line for a database that is away, a traceback for all else."""
        fields = {"task": name, "owner": self.name, "restart": restart}
        if restart and _passes(error):
            logger.log(logging.DEBUG if again else logging.WARNING, "task waits: %s", error, extra=fields)
        else:
            logger.error("task failed", extra=fields, exc_info=error)


def _passes(error: Exception) -> bool:
    """Tell whether all tasks wait for one thing, whose going and coming back is told elsewhere."""
    return isinstance(error, StoreAwayError)


async def together(jobs: "dict[str, Coroutine[Any, Any, None]]") -> None:
    """Run named jobs until the first one ends or fails; the others are cancelled and awaited, its error is raised.

    Unlike a TaskGroup the error comes plain, and a job that merely returns ends the round too. Cancelling is safe.
    """
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(job, name=name) for name, job in jobs.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
