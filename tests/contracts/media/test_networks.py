"""Two network cards, no way out: each peer is told its own card's address, nothing goes anywhere else.

In a namespace of its own, with Debian's GStreamer client as one of the peers: libnice leaves the loopback out.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.external
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nft"), reason="needs root, nft"
)
def test_two_cards_no_way_out_and_a_gstreamer_publisher(tmp_path: Path) -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.support.networks", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=110, cwd=ROOT)
    if done.returncode and "unshare failed" in done.stderr:
        pytest.skip("no network namespaces here")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["publisher_told"] == ["10.71.0.1"]
    assert found["viewer_told"] == ["10.72.0.1"]
    assert found["route"] == "", "pictures went on when the way out was gone"
    assert found["strangers"] == 0, "packets to other addresses"
    if found["gstreamer"] == "missing":
        pytest.skip("apt-get install simple-whip-client gcc libc6-dev")
    assert found["gstreamer"] == 320
