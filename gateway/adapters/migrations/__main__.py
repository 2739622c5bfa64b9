"""Write the next revision of one room: `python -m gateway.adapters.migrations alarms`.

Compares the room's `tables.py` with what the revisions make so far. Read what it wrote before you commit it.
"""

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations.ops import UpgradeOps
from sqlalchemy import Connection, Table, create_engine
from sqlalchemy.pool import NullPool

from gateway.adapters.migrations import VERSIONS, heads, upgrade
from gateway.ports.store import METADATA, UtcTime

TEMPLATE = '''"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = {labels}
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
{calls}

{steps}
'''


_ELSEWHERE = {"store": "gateway.adapters.store_tables", "press": "gateway.rollcall.press.tables"}


def tables_of(room: str) -> set[str]:
    """Import the room's tables and return their names."""
    module = _ELSEWHERE.get(room, f"gateway.{room}.tables")
    return {value.name for value in vars(importlib.import_module(module)).values() if isinstance(value, Table)}


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    return "sa.BigInteger()" if kind == "type" and isinstance(item, UtcTime) else False


def difference(connection: Connection, names: set[str]) -> str:
    """Return the operations that are missing, as Python code."""

    def wanted(item: Any, name: str | None, kind: str, *_: Any) -> bool:
        owner = name if kind == "table" else item.table.name
        return owner in names

    options = {"include_object": wanted, "render_item": _render, "render_as_batch": True}
    context = MigrationContext.configure(connection, opts=options)
    ops = produce_migrations(context, METADATA).upgrade_ops
    if not isinstance(ops, UpgradeOps):
        raise AssertionError("alembic was given one database and must answer with one list of operations")
    return "" if ops.is_empty() else render_python_code(ops, render_item=_render)


def split(lines: list[str]) -> list[list[str]]:
    """Cut the operations into steps, one per table."""
    steps: list[list[str]] = []
    for line in lines:
        if not steps or line.startswith("    op.create_table("):
            steps.append([])
        steps[-1].append(line)
    return steps


def main(room: str) -> str:
    """Write the revision; returns its path, or a sentence where nothing changed."""
    names = tables_of(room)
    before = next((head for head in heads() if head.startswith(f"{room}_")), None)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.db"
        upgrade(path)
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        with engine.connect() as connection:
            body = difference(connection, names)
    if not body:
        return f"{room}: nothing changed"
    number = 1 if before is None else int(before.rpartition("_")[2]) + 1
    revision = f"{room}_{number:04}"
    steps = split([line for line in body.splitlines() if line.strip() and not line.strip().startswith("#")])
    text = TEMPLATE.format(
        title=f"Tables of {room}, revision {number}.",
        revision=revision,
        down="None" if before is None else f'"{before}"',
        labels=f'("{room}",)' if before is None else "None",
        calls="\n".join(f"    _step_{n}()" for n in range(1, len(steps) + 1)),
        steps="\n\n".join(f"def _step_{n}() -> None:\n" + "\n".join(step) for n, step in enumerate(steps, 1)),
    )
    target = VERSIONS / f"{revision}.py"
    target.write_text(text, encoding="utf-8")
    return str(target)


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1]) + "\n")
