"""Prometheus' own judgement of the alert rules: syntax, firing and not firing."""

import shutil
import subprocess

import pytest

from tests.support.house import ROOT

pytestmark = pytest.mark.external


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    assert program, "apt-get install prometheus"
    done = subprocess.run([program, *arguments], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_valid():
    files = sorted(str(path) for path in (ROOT / "dashboards" / "rules").glob("*.yml"))
    assert "SUCCESS" in promtool("check", "rules", *files)


@pytest.mark.parametrize("path", sorted((ROOT / "dashboards" / "tests").glob("*_test.yml")), ids=lambda p: p.stem)
def test_alerts_fire_when_they_should_and_only_then(path):
    assert "SUCCESS" in promtool("test", "rules", str(path))
