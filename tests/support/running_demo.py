"""The demo as a process, for tests that need the whole chain."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.demo.state import start_time
from tests.support.house import ROOT

START_LIMIT_S = 500.0


class RunningDemo:
    """A demo that is up. `places` is its `demo.json`."""

    def __init__(self, process: subprocess.Popen[str], state_dir: Path, prefix: list[str]) -> None:
        self.process = process
        self.state_dir = state_dir
        self.prefix = prefix
        """Command that leads into the demo's network namespace; empty without one."""

    @property
    def places(self) -> dict[str, Any]:
        """Return the newest `demo.json`."""
        return json.loads((self.state_dir / "demo.json").read_text("utf-8"))

    def pids(self) -> list[tuple[int, int]]:
        """Return id and start time of every process of the demo."""
        record = json.loads((self.state_dir / "processes.json").read_text("utf-8"))
        return [(pid, born) for pid, born in record.values()]


@contextlib.contextmanager
def running_demo(
    state_dir: Path, *, counties: int = 7, namespace: bool = False, arguments: tuple[str, ...] = ()
) -> Iterator[RunningDemo]:
    """Start the demo on free ports, wait for its banner, end it with SIGTERM; nothing may be left behind."""
    command = [sys.executable, "-u", "-m", "gateway.demo", "--port", "0", "--counties", str(counties)]
    command += ["--state-dir", str(state_dir), *arguments]
    if namespace:
        command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
    log = state_dir.parent / "demo.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("a+") as out:
        with subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, text=True, env=environment) as process:
            try:
                _wait_for_banner(process, log)
                prefix = ["nsenter", "-t", str(process.pid), "-n"] if namespace else []
                demo = RunningDemo(process, state_dir, prefix)
                children = demo.pids()
                yield demo
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        left = [pid for pid, born in children if start_time(pid) == born]
        assert not left, f"left behind: {left}"


def _wait_for_banner(process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while "Ctrl-C" not in log.read_text("utf-8"):
        assert process.poll() is None, log.read_text("utf-8")[-4000:]
        assert time.monotonic() < deadline, log.read_text("utf-8")[-4000:]
        time.sleep(0.2)
