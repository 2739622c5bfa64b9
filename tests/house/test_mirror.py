"""Every rule has its own test file: the language, each machine, each module of rules."""

from tests.support.house import ROOT, name, sources


def test_every_rule_has_its_own_test_file():
    rules = [
        p for p in sources() if p.parent == ROOT / "protocols" or p.name == "machine.py" or p.parent.name == "rules"
    ]
    tests = {p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("test_*.py")}
    missing = []
    for path in rules:
        if path.name == "__init__.py" or path.stem in NAMES_ONLY:
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts
        wanted = (
            f"tests/unit/{'/'.join(parts[:-1])}/test_{parts[-1]}.py",
            f"tests/unit/{'/'.join(parts[:-1])}/test_{parts[-2]}_{parts[-1]}.py",
        )
        if not any(one in tests for one in wanted):
            missing.append(f"{name(path)} wants {wanted[0]}")
    assert not missing, missing


NAMES_ONLY = {"rollcall", "health", "malformed"}
"""Enumerations, payload types and the one error of the packet parsers: names without a rule of their own."""
