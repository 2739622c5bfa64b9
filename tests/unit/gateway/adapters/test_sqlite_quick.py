"""The quick driver beside the plain one: the same rows, the same counts, the same errors, one visit to the thread."""

import json
from pathlib import Path

import pytest
from pydantic_core import from_json
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.adapters.sqlite_quick import QuickConnection
from gateway.adapters.store_quick import hand_of, json_text


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
        async def work(self, job, values=1):
            nonlocal visits
            visits += 1
            return await super().work(job, values)

    made = create_async_engine("sqlite+aiosqlite:///file", async_creator=lambda: Counted(tmp_path / "some.db"))
    async with made.connect() as connection:
        await connection.execute(text("SELECT 1"))
        before = visits
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
        assert visits == before + 1
    await made.dispose()


async def test_rows_of_one_insert_go_in_in_their_order_and_later_ones_replace_earlier(tmp_path: Path) -> None:
    made = engine(tmp_path / "some.db")
    async with made.connect() as connection:
        await connection.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"))
        hand = hand_of(connection)
        put = "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET b = excluded.b"
        for count in (1, 2, 63, 64, 65, 1500):
            await hand.write(put, [(number % 400, f"{count}/{number}") for number in range(count)])
            rows = (await connection.execute(text("SELECT a, b FROM t ORDER BY a"))).all()
            last = {number % 400: f"{count}/{number}" for number in range(count)}
            assert [row.b for row in rows if row.a in last] == [last[key] for key in sorted(last)]
        await hand.write("INSERT INTO t (a, b) VALUES (?, ?)", [(5000, "x"), (5000, "y")])
        with pytest.raises(IntegrityError):
            await connection.execute(text("SELECT 1"))
        await connection.rollback()
    await made.dispose()


async def test_json_columns_keep_their_meaning(tmp_path: Path) -> None:
    kept = {"水位": [1, 2.5, None, True, {"深": '\u2028\x00"\\'}], "n": 2**70, "e": 1e300}
    assert from_json(json_text(kept)) == kept == json.loads(json_text(kept))
    assert from_json(json.dumps(kept)) == kept, "what was written before is read as well"
