"""Documents stay true: links lead somewhere, the commands of the README exist."""

import re
import subprocess
import sys

import pytest

from tests.support.house import ROOT

PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "deploy/RUNBOOK.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing, missing


@pytest.mark.parametrize("module", ["gateway", "edge_agent"])
def test_commands_of_the_readme_exist(module):
    brand = {"gateway": "silian", "edge_agent": "silian-agent"}[module]
    told = set(re.findall(rf"`{brand} ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    missing = {word for word in told if not re.search(rf"\b{word}\b", shown)}
    assert told
    assert not missing, missing
