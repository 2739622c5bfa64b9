"""Children: restarted when they die, ended on request, gone when the parent is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from gateway.demo.family import Family
from gateway.demo.state import StateDir, start_time

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(100)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(100)",
]


async def until(condition, limit=30.0):
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.02)


def family(group: asyncio.TaskGroup, tmp_path: Path) -> tuple[Family, list[str]]:
    state, said = StateDir(tmp_path), []
    state.logs.mkdir()
    return Family(group, state, said.append), said


async def test_a_dead_child_is_started_again_with_a_notice(tmp_path):
    async with asyncio.TaskGroup() as group:
        children, said = family(group, tmp_path)
        child = children.start("agent", SLEEP)
        await until(lambda: child.pid)
        first = child.pid
        child.signal(signal.SIGKILL)
        await until(lambda: child.pid not in (None, first))
        assert child.restarts == 1
        assert "SIGKILL" in said[0]
        await children.end(["agent"])
        assert child.pid is None
        assert StateDir(tmp_path).read_json("processes.json") == {}


async def test_a_stopped_child_still_ends(tmp_path):
    async with asyncio.TaskGroup() as group:
        children, _ = family(group, tmp_path)
        child = children.start("agent", SLEEP)
        await until(lambda: child.pid)
        child.signal(signal.SIGSTOP)
        await children.end(["agent"])
        assert child.pid is None


async def test_a_deaf_child_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.demo.family.END_LIMIT_S", 0.5)
    async with asyncio.TaskGroup() as group:
        children, _ = family(group, tmp_path)
        child = children.start("agent", DEAF)
        await until(lambda: "up" in child.tail())
        await children.end(["agent"])
        assert child.process.returncode == -signal.SIGKILL


async def test_a_child_told_to_end_in_its_pause_is_not_started_again(tmp_path):
    async with asyncio.TaskGroup() as group:
        children, said = family(group, tmp_path)
        child = children.start("agent", [sys.executable, "-c", "print('no'); raise SystemExit(3)"])
        await until(lambda: said)
        await children.end(["agent"])
        assert "退出码 3" in said[0]
        assert child.tail() == "no"


def test_children_die_with_a_killed_parent(tmp_path):
    script = f"""
import asyncio, sys
from pathlib import Path
from gateway.demo.family import Family
from gateway.demo.state import StateDir
async def main():
    state = StateDir(Path({str(tmp_path)!r})); state.logs.mkdir()
    async with asyncio.TaskGroup() as group:
        child = Family(group, state, print).start("agent", {SLEEP!r})
        while "up" not in child.tail(): await asyncio.sleep(0.02)
        print(child.pid, flush=True)
        await asyncio.sleep(100)
asyncio.run(main())
"""
    root = Path(__file__).parents[4]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert start_time(pid) is not None
        os.kill(parent.pid, signal.SIGKILL)
        asyncio.run(until(lambda: start_time(pid) is None))
