"""Words that have no place in the source: unfinished marks, other parties' names, paths of one machine."""

import re
import subprocess

import pytest

from tests.support.house import ROOT, name, sources

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
EXEMPTION = re.compile(r"#\s*(type: ignore|noqa)(?P<code>[^#]*)(?P<why>#.*)?")


def test_nothing_is_left_unfinished():
    found = [
        f"{name(path)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found, found


def test_exemptions_name_their_rule():
    found = []
    for path in sources():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = EXEMPTION.search(line)
            if match and not re.match(r"(: [A-Z]+[0-9]+|\[[a-z-]+)", match["code"]):
                found.append(f"{name(path)}:{number}")
    assert not found, f"name the rule that is lifted: {found}"


def test_no_path_of_one_machine_is_committed():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    grep = subprocess.run(
        [
            "git",
            "grep",
            "-nIE",
            r"(/root/|/home/[a-z]+/)",
            "--",
            ".",
            ":!LICENSE",
            ":!tests/house/test_words.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert grep.stdout == ""


def test_locks_carry_hashes_and_no_hosts():
    for lock in ("runtime", "dev"):
        text = (ROOT / f"deploy/locks/{lock}.txt").read_text()
        pins = re.findall(r"^[a-z0-9._-]+(?:\[[a-z,]+\])?==", text, re.MULTILINE | re.IGNORECASE)
        assert len(pins) > 20
        assert text.count("--hash=sha256:") >= len(pins)
        assert "://" not in text
