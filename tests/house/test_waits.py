"""Tests wait for what is true, never for a promise of it."""

import ast
from pathlib import Path

import pytest

from tests.support.house import ROOT, name, tree

WAITING = "wait_for_function"


def waits(path: Path) -> list[tuple[int, str]]:
    """Return line and question of every wait in a page, with the names of constants in it replaced by their text."""
    known = {
        target.id: ast.unparse(node.value)
        for node in tree(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == WAITING
    ]
    return [
        (
            call.lineno,
            " ".join(
                known.get(part.id, part.id) if isinstance(part, ast.Name) else str(part.value)
                for part in ast.walk(call.args[0])
                if isinstance(part, ast.Name | ast.Constant)
            ),
        )
        for call in calls
    ]


FILES = sorted(
    path
    for folder in ("tests/browser", "tests/contracts", "tests/integration", "tests/support", "gateway")
    for path in (ROOT / folder).rglob("*.py")
    if WAITING in path.read_text("utf-8")
)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_wait_in_a_page_takes_a_promise_for_true(path):
    wrong = [line for line, question in waits(path) if "async " in question or "Promise" in question]
    assert not wrong, f"{name(path)}:{wrong}: Playwright takes a promise for true; use tests/support/asked.py"


def test_some_are_looked_at():
    assert len(FILES) > 5
    assert sum(len(waits(path)) for path in FILES) > 15
