"""Files stay readable: at most 600 lines a file, 40 lines a function (docstring and signature apart)."""

import ast

from tests.support.house import name, sources, tree

MAX_FILE = 600
MAX_FUNCTION = 40


def test_no_file_is_over_the_limit():
    over = {name(path): n for path in sources() if (n := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE}
    assert not over, f"split by job, not by size: {over}"


def test_no_function_is_over_the_limit():
    over = [
        f"{name(path)}:{node.lineno} {node.name} has {lines} lines"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := _body_lines(node)) > MAX_FUNCTION
    ]
    assert not over, over


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
