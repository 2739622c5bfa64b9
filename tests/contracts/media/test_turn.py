"""A publisher and a viewer reach the engine through a TURN server alone, with the credentials that a gateway gives.

In a namespace of its own, where their address leads nowhere else; the relay is Debian's coturn.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.house import ROOT


@pytest.mark.external
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nft") or not shutil.which("turnserver"),
    reason="needs root, nft and coturn",
)
def test_pictures_go_through_a_relay_where_nothing_else_leads_to_the_engine(tmp_path: Path) -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.support.turn", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=110, cwd=ROOT)
    if done.returncode and "unshare failed" in done.stderr:
        pytest.skip("no network namespaces here")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["publisher"], found["viewer"]) == (["relay"], ["relay"])
    assert found["told"] == ["10.74.0.1"], "the engine names itself alone"
    assert found["turned_away"] > 0, "the short way was tried, and led nowhere"
