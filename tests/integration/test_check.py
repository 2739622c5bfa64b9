"""`silian demo --check` as a newcomer types it: every step on seven counties, the verdict, and nothing left behind."""

import json
import os
import subprocess
import sys

import pytest

from gateway.demo.state import start_time
from tests.support.house import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
PROMISED = {
    "commit",
    "machine",
    "seed",
    "duration_s",
    "first_picture_tier1_p95_s",
    "first_picture_tier4_p95_s",
    "samples_first_picture_tier1_p95_s",
    "samples_first_picture_tier4_p95_s",
    "alarm_four_tiers_p99_ms",
    "rollcall_7_s",
    "spot_check_told_s",
    "spot_check_answered_s",
    "spot_check_seen_s",
    "spot_check_result_s",
    "rollcall_false_present",
    "rollcall_false_frozen",
    "rollcall_wrong_cause",
    "city_killed_links_back_s",
}


def test_the_check_is_good(tmp_path):
    figures_file, state = tmp_path / "figures.json", tmp_path / "state"
    command = [sys.executable, "-m", "gateway", "demo", "--check", "--port", "0"]
    done = subprocess.run(
        [*command, "--state-dir", str(state), "--json", str(figures_file)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    figures = json.loads(figures_file.read_text("utf-8"))
    assert set(figures) >= PROMISED
    assert all(not isinstance(value, dict | list) for value in figures.values()), "one flat object"
    assert {figures[f"alarms_{kind}"] for kind in ("lost", "doubled", "out_of_order", "untrue")} == {0}
    assert figures["alarms_acknowledged"] > 500
    left = json.loads((state / "processes.json").read_text("utf-8"))
    assert not [name for name, (pid, born) in left.items() if start_time(pid) == born]
