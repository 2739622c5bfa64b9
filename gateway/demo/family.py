"""The demo's processes: started with a log each, restarted when they die, ended together.

**No child outlives the demo**: each asks the kernel to be killed with its parent (prctl(2), PR_SET_PDEATHSIG), and a
clean end asks with SIGTERM first. A child that dies by itself is started again after a notice, as systemd would.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from gateway.demo.state import StateDir
from protocols.backoff import Backoff

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_PAUSE = Backoff(base=0.5, cap=8.0, floor=0.5)
STEADY_S = 10.0
"""A child that lived this long is not counted as failing to start."""
END_LIMIT_S = 12.0


class Child:
    """One supervised process. `restarts` counts starts after the first."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.environment = dict(environment)
        self.restarts = 0
        self.quick_deaths = 0
        self.ending = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self.process.pid if self.process is not None and self.process.returncode is None else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone is left in peace."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of its log."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


class Family:
    """All children of one demo; `say` takes notices for the person at the terminal."""

    def __init__(self, group: asyncio.TaskGroup, state: StateDir, say: Callable[[str], None]) -> None:
        self._group = group
        self._state = state
        self._say = say
        self.children: dict[str, Child] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self.on_change: Callable[[], None] = lambda: None

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start a child and keep it running until `end`."""
        child = Child(name, argv, self._state.logs / f"{name}.log", {**os.environ, **(environment or {})})
        self.children[name] = child
        self._watches[name] = self._group.create_task(self._watch(child), name=f"child[{name}]")
        return child

    async def end(self, names: Iterable[str]) -> None:
        """End children together: SIGTERM, then SIGKILL after `END_LIMIT_S`. They are not restarted."""
        wanted = [name for name in names if name in self._watches]
        for name in wanted:
            child = self.children[name]
            child.ending.set()
            child.signal(signal.SIGCONT)
            child.signal(signal.SIGTERM)
        watches = [self._watches.pop(name) for name in wanted]
        if not watches:
            return
        _, late = await asyncio.wait(watches, timeout=END_LIMIT_S)
        for name in wanted:
            self.children[name].signal(signal.SIGKILL)
        if late:
            await asyncio.wait(late)
        for name in wanted:
            del self.children[name]
        self.on_change()

    async def _watch(self, child: Child) -> None:
        while not child.ending.is_set():
            started = time.monotonic()
            code = await self._run(child)
            if child.ending.is_set():
                return
            child.quick_deaths = child.quick_deaths + 1 if time.monotonic() - started < STEADY_S else 0
            pause = _PAUSE.delay(child.quick_deaths, 0.9)
            self._say(
                f"{child.name} 已退出（{_ending(code)}），{pause:.1f} 秒后重启；日志 {child.log}。 "
                f"{child.name} ended, restarting."
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.ending.wait(), pause)
            child.restarts += 1

    async def _run(self, child: Child) -> int:
        with child.log.open("ab") as log:
            # The arguments are ours; no shell is involved.
            process = await asyncio.create_subprocess_exec(
                *child.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child.environment,
                start_new_session=True,  # Ctrl-C at the terminal reaches the demo alone, which ends them in order
                preexec_fn=die_with_parent(),
            )
        child.process = process
        self._state.remember(child.name, process.pid)
        self.on_change()
        if child.ending.is_set():  # told to end while it was being started
            child.signal(signal.SIGTERM)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:  # cancelled: nobody will ask again
                process.kill()
            self._state.forget(child.name)


def die_with_parent() -> Callable[[], None]:
    """Return a `preexec_fn` that has the kernel kill the child when this process ends."""
    parent = os.getpid()

    def arrange() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died in between
            os._exit(1)

    return arrange


def _ending(code: int) -> str:
    return f"信号 {signal.Signals(-code).name}" if code < 0 else f"退出码 {code}"
