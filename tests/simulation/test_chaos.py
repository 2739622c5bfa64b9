"""`silian bench chaos`: a short seeded run holds; the same run with a rule broken on purpose does not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.bench.chaos.run import Options, measure
from tests.support.house import ROOT

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(400)]


def test_nothing_is_lost_doubled_or_forgotten(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "gateway.bench", "chaos", "--seed", "20261123", "--seconds", "20", "--postgres",
         "--state-dir", str(tmp_path / "state"), "--json", str(target)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=380,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(target.read_text())
    wrong = {key: found[f"chaos_{key}"] for key in ("lost", "doubled", "gaps", "out_of_order", "timers")}
    assert wrong == dict.fromkeys(wrong, 0)
    assert found["chaos_kills"] > 0
    assert found["chaos_database_kills"] > 0, "the city's database was meant to be killed too"
    assert found["chaos_promised"] > 1400
    assert found["chaos_folded"] > 0, "the cramped spool was meant to fold repeats"
    assert found["chaos_red_chains"] > 0


async def test_a_receipt_before_the_commit_is_seen(tmp_path: Path) -> None:
    hasty = (sys.executable, "-m", "tests.support.hasty_gateway")
    figures, wrong = await measure(Options(tmp_path, seed=20261123, seconds=30, serve=hasty), lambda _: None)
    assert figures.values["chaos_lost"]
    assert wrong
