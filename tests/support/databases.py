"""A gateway's database at the newest schema, without paying for the migrations in every test."""

import tempfile
from functools import cache
from pathlib import Path

from gateway.adapters import migrations


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template.db"
        migrations.upgrade(path)
        return path.read_bytes()


def at_newest_schema(path: Path) -> Path:
    """Write an empty database to `path` and return it; the store gives it an identity when it opens it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_empty())
    return path
