"""The demo's directory: its lock, the record of its processes, and the end of what a killed run left behind.

A process is recognised by its id *and* its start time, so a number that the kernel has given to somebody else since
is left alone.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocols.errors import ConfigError

END_LIMIT_S = 5.0


def default_dir() -> Path:
    """Return the user's state home (XDG base directories) with the demo's name."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "silian-demo"


def start_time(pid: int) -> int | None:
    """Return the start of a process in clock ticks since boot (proc(5), field 22); None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


class StateDir:
    """One directory of one demo. Hold it with `locked()`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._processes: dict[str, tuple[int, int]] = {}

    @property
    def logs(self) -> Path:
        """Where every process writes its log."""
        return self.path / "logs"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; raises ConfigError when another demo does."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        self.logs.mkdir(exist_ok=True)
        with (self.path / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise ConfigError(
                    f"{self.path} 正被另一个演示使用（pid {file.read().strip() or '?'}）；请先结束它或用 --state-dir "
                    f"另选目录。 Another demo is running on {self.path}; end it or choose another --state-dir."
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def remember(self, name: str, pid: int) -> None:
        """Record a started process, so that the next run can end it should this one be killed."""
        started = start_time(pid)
        if started is not None:
            self._processes[name] = (pid, started)
            self.write_json("processes.json", self._processes)

    def forget(self, name: str) -> None:
        """Strike a process that has ended from the record."""
        if self._processes.pop(name, None) is not None:
            self.write_json("processes.json", self._processes)

    def end_leftovers(self) -> list[str]:
        """End processes of an earlier run that still live; return their names. Blocks up to `END_LIMIT_S`."""
        record = self.read_json("processes.json") or {}
        alive = {name: (pid, born) for name, (pid, born) in record.items() if start_time(pid) == born}
        for how in (signal.SIGTERM, signal.SIGKILL):
            for pid, _ in alive.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, how)
            if _wait_gone(alive, END_LIMIT_S):
                break
        return sorted(alive)

    def read_json(self, name: str) -> Any:
        """Return a JSON file of the directory, None where it is absent or broken off."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file, readable by its owner alone, replaced as a whole."""
        draft = self.path / f".{name}.new"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
        draft.replace(self.path / name)


def _wait_gone(processes: dict[str, tuple[int, int]], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while any(start_time(pid) == born for pid, born in processes.values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
