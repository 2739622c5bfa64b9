"""The systemd units: accepted without a word, and shut in (exposure at most 2.0)."""

import re
import shutil
import subprocess

import pytest

from tests.support.house import ROOT

pytestmark = pytest.mark.external
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "apt-get install systemd"
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True)


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_a_unit_is_accepted_without_output(unit, tmp_path):
    stub = tmp_path / "stub"
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    text = unit.read_text("utf-8")
    # The program is not installed where tests run; everything else stays as it is shipped.
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"/opt/silian/bin/[a-z-]+", str(stub), text), "utf-8")
    done = analyze("verify", str(copy))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_a_unit_is_shut_in(unit):
    done = analyze("security", "--offline=true", "--threshold=20", str(unit))
    assert done.returncode == 0, done.stdout[-400:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.stem)
def test_a_unit_notifies_is_watched_and_comes_back(unit):
    text = unit.read_text("utf-8")
    for line in ("Type=notify", "WatchdogSec=", "Restart=always", "NoNewPrivileges=yes", "DynamicUser=yes"):
        assert line in text
