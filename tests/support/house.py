"""Reads the source tree for the house tests."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocols", "edge_agent", "gateway")
NOT_ROOMS = {"adapters", "ports", "web", "console", "demo", "bench", "__pycache__"}


@cache
def sources() -> tuple[Path, ...]:
    """All Python files of the three packages."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return tuple(sorted(path for path in found if "node_modules" not in path.parts))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and dotted name of every import, those inside functions included."""
    return tuple(_imports(tree(path)))


def _imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def rooms() -> list[Path]:
    """The gateway's rooms: every package below gateway/ that holds business."""
    return sorted(
        p
        for p in (ROOT / "gateway").iterdir()
        if p.is_dir() and p.name not in NOT_ROOMS and (p / "__init__.py").exists()
    )
