"""Agent, real engine and viewer over a line that loses one packet in twenty and is cut twice, in a namespace."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.aio.testcard import tone_hz

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.external
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nft"), reason="needs root, nft"
)
def test_pictures_and_sound_survive_loss_and_come_back_after_cuts(tmp_path):
    command = ["unshare", "--net", sys.executable, "-m", "tests.support.bad_line", str(tmp_path / "engine")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=150, cwd=ROOT)
    if done.returncode and "unshare failed" in done.stderr:
        pytest.skip("no network namespaces here")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sessions_under_loss"] == 1  # loss alone is no reason for another session
    assert found["peak_hz"] == pytest.approx(tone_hz("320623"), abs=6)
    assert found["live_while_cut"] == 0  # nothing is said to be published over a dead line
    assert found["sessions"] >= 2
    assert found["ended_failed"] >= 1
