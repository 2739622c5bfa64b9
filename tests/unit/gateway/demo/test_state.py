"""The state directory: one demo at a time, left-overs recognised by id and start time."""

import os
import subprocess
import sys

import pytest

from gateway.demo.state import StateDir, default_dir, start_time
from protocols.errors import ConfigError


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])


def test_a_second_demo_on_the_same_directory_is_refused(tmp_path):
    with StateDir(tmp_path).locked(), pytest.raises(ConfigError, match=str(os.getpid())), StateDir(tmp_path).locked():
        pass


def test_the_lock_is_free_after_use(tmp_path):
    for _ in range(2):
        with StateDir(tmp_path).locked():
            pass


def test_leftovers_are_ended(tmp_path):
    with sleeper() as process:
        StateDir(tmp_path).remember("agent", process.pid)
        assert StateDir(tmp_path).end_leftovers() == ["agent"]
        assert process.wait(10) < 0


def test_a_number_given_to_somebody_else_is_left_alone(tmp_path):
    with sleeper() as process:
        state = StateDir(tmp_path)
        state.write_json("processes.json", {"agent": [process.pid, start_time(process.pid) - 1]})
        assert state.end_leftovers() == []
        assert process.poll() is None
        process.kill()


def test_forgotten_processes_are_left_alone(tmp_path):
    with sleeper() as process:
        state = StateDir(tmp_path)
        state.remember("agent", process.pid)
        state.forget("agent")
        assert StateDir(tmp_path).end_leftovers() == []
        process.kill()


def test_files_are_private_and_a_broken_one_reads_as_none(tmp_path):
    state = StateDir(tmp_path)
    state.write_json("demo.json", {"密": 1})
    assert (tmp_path / "demo.json").stat().st_mode & 0o077 == 0
    (tmp_path / "broken.json").write_text("{")
    assert state.read_json("broken.json") is None


def test_state_home_is_respected(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_dir() == tmp_path / "silian-demo"
