"""The quick driver beside the plain one: the same rows, the same counts, the same errors, one visit to the thread."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.adapters.sqlite_quick import QuickConnection


def engine(path: Path):
    return create_async_engine("sqlite+aiosqlite:///file", async_creator=lambda: QuickConnection(path), pool_size=1)


async def test_statements_rows_and_errors_are_those_of_sqlite(tmp_path: Path) -> None:
    made = engine(tmp_path / "some.db")
    async with made.connect() as connection:
        await connection.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"))
        await connection.execute(text("INSERT INTO t VALUES (:a, :b)"), [{"a": n, "b": "水"} for n in range(100)])
        rows = await connection.execute(text("SELECT a, b FROM t WHERE a > 97 ORDER BY a"))
        assert rows.all() == [(98, "水"), (99, "水")]
        changed = await connection.execute(text("UPDATE t SET b = 'x' WHERE a < 10"))
        assert changed.rowcount == 10
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO t VALUES (1, 'again')"))
        with pytest.raises(OperationalError):
            await connection.execute(text("SELECT nothing FROM nowhere"))
        await connection.commit()
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one() == 100
    await made.dispose()


async def test_a_statement_visits_the_thread_once(tmp_path: Path) -> None:
    visits = 0

    class Counted(QuickConnection):
        async def work(self, job):
            nonlocal visits
            visits += 1
            return await super().work(job)

    made = create_async_engine("sqlite+aiosqlite:///file", async_creator=lambda: Counted(tmp_path / "some.db"))
    async with made.connect() as connection:
        await connection.execute(text("SELECT 1"))
        before = visits
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
        assert visits == before + 1
    await made.dispose()
