"""No media passes between agent, city and province, HTTP and MQTT do: snapshots stand in for the stream, no more."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.snapshot import MOST_BYTES, OLDEST_S

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.external
@pytest.mark.timeout(240)
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nft"), reason="needs root, nft"
)
def test_snapshots_take_the_place_of_the_stream_at_both_tiers_and_are_never_called_live(tmp_path):
    command = ["unshare", "--net", sys.executable, "-m", "tests.support.dark_line", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=220, cwd=ROOT)
    if done.returncode and "unshare failed" in done.stderr:
        pytest.skip("no network namespaces here")
    assert done.returncode == 0, done.stderr[-6000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name in ("city", "province", "again"):
        shown = found[name]
        assert shown["code"] == "320623", name
        assert shown["bytes"] <= MOST_BYTES
        # The age that is told is never less than the true one, which the picture bears itself, but for its capture.
        assert shown["understated_s"] < 0.6, shown
        assert shown["age_s"] < OLDEST_S
        assert shown["marked"]
        assert shown["state"] != "live"
        assert not shown["live"]
        assert shown["proof"] == "none"
        assert shown["judged"] == []
        assert shown["frame_age"] == []
        assert shown["shown"] == ["silian_media_snapshot_streams 1.0"]
    assert found["again"]["taken_at"] > found["province"]["taken_at"]
    assert found["while_dark"]["sent"] >= 2
    assert found["after"] == [404, 404]
    assert (found["after_marked"], found["after_state"], found["after_code"]) == (None, "live", "320623")
    assert found["sent_after"] == 0
    assert 'silian_media_snapshots_total{outcome="passed_on"}' in " ".join(found["city_counts"])
