"""A gateway's database at the newest schema, without paying for the migrations in every test."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gateway.adapters import migrations
from gateway.adapters.store_postgres import PostgresStore
from gateway.adapters.store_sql import SqlStore
from gateway.adapters.store_sqlite import SqliteStore
from protocols.aio.clock import Clock
from tests.support.postgres import shared_cluster


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


def unopened(clock: Clock, node: str = "320600") -> SqliteStore:
    """Return a store for tests in which a room neither reads nor writes: any use of it fails."""
    return SqliteStore(Path("unopened.db"), node, clock, lambda _: None)


@dataclass
class Bench:
    """A database that can be opened again, and as another replica."""

    opened: Callable[[Callable[[object], None], str], SqlStore]
    clock: Clock
    happened: list[object] = field(default_factory=list)

    def open(self, replica: str = "gateway", publish: Callable[[object], None] | None = None) -> SqlStore:
        """Return a store on it, to be entered."""
        return self.opened(publish or self.happened.append, replica)


async def new_bench(kind: str, folder: Path, clock: Clock, node: str = "320600") -> Bench:
    """Return a fresh database on `sqlite` or `postgres`."""
    if kind == "sqlite":
        path = at_newest_schema(folder / "gateway.db")
        return Bench(lambda publish, _: SqliteStore(path, node, clock, publish), clock)
    url = await shared_cluster().database()
    return Bench(lambda publish, replica: PostgresStore(url, node, clock, publish, folder / f"{replica}.mark"), clock)
