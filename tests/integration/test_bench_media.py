"""`silian bench media` as a process: the shape of its figures, and that they come from packets. No figure is judged."""

import json
import subprocess
import sys

import pytest

from gateway.adapters.media_janus.server import find_janus
from tests.support.house import ROOT


def bench(tmp_path, *arguments):
    target = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "gateway.bench", "media", "--quick", "--small", "--rounds", "1", "--window", "0.5",
         "--scale", "0.03", "--state-dir", str(tmp_path / "state"), "--json", str(target), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    return done, json.loads(target.read_text()) if target.exists() else {}


def test_forwarding_is_counted(tmp_path):
    drawn = tmp_path / "figures.svg"
    done, found = bench(
        tmp_path, "--here", "--only", "1x100,join,loss", "--without", "janus,relay", "--picture", str(drawn)
    )
    assert done.returncode == 0, done.stderr
    assert all(isinstance(value, str | int | float | bool | None) for value in found.values())
    assert {"commit", "machine", "seed", "duration_s", "notes"} <= set(found)
    for backend in ("compiled", "batched", "reference"):
        assert found[f"media_packets_{backend}"] > 0
        assert found[f"media_us_per_leg_packet_{backend}"] > 0
        assert found[f"samples_media_us_per_leg_packet_{backend}"] == 1
        assert found[f"samples_media_delay_last_leg_p50_ms_{backend}"] > 0
        assert "GCM" in found[f"media_srtp_profile_{backend}"]
    assert "media_cpu_ratio_vs_janus" not in found
    assert found["samples_first_picture_tier1_max_s"] == 5
    assert found["first_picture_tier1_max_s"] > 0
    assert found["samples_freeze_ratio_loss5"] > 0
    assert found["packets_lost_on_purpose_loss5"] > 0
    assert found["lossy_line_rtt_median_ms"] > 0, "viewers tell of their lines"
    assert "Silian, compiled" in drawn.read_text()
    assert "batched" in done.stdout
    assert found["media_delay_last_leg_p50_ms"] == found["media_delay_last_leg_p50_ms_compiled"]


@pytest.mark.external
def test_janus_forwards_the_same_traffic_in_a_private_network(tmp_path):
    find_janus()
    done, found = bench(tmp_path, "--only", "40x1", "--without", "reference")
    assert done.returncode == 0, done.stderr
    if "no private network" in done.stderr:
        pytest.skip(done.stderr.splitlines()[0])
    assert found["media_packets_janus_40x1"] > 0
    assert found["media_cpu_ratio_vs_janus_40x1"] > 0
    assert found["media_srtp_profile_janus_40x1"] == found["media_srtp_profile_compiled_40x1"]
    assert found["media_cpu_ratio_vs_janus_40x1"] == found["media_cpu_ratio_vs_janus_compiled_40x1"]
    assert found["janus_version"]


@pytest.mark.external
def test_walls_are_counted_slot_by_slot_beside_janus(tmp_path):
    find_janus()
    done, found = bench(tmp_path, "--only", "wall16", "--without", "reference,batched", "--scale", "0.2")
    assert done.returncode == 0, done.stderr
    if "no private network" in done.stderr:
        pytest.skip(done.stderr.splitlines()[0])
    assert found["media_packets_compiled_wall16"] > 0
    assert found["media_packets_janus_wall16"] > 0
    assert (found["media_loss_compiled_wall16"], found["media_cpu_ratio_vs_janus_wall16"] > 0) == (0, True)


def test_an_unknown_scenario_is_wrong_use(tmp_path):
    done, _ = bench(tmp_path, "--here", "--only", "nonsense")
    assert done.returncode == 2
    assert "1x100" in done.stderr
