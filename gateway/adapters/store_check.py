"""Looking at a gateway's database from outside, for `silian doctor`: nothing is changed."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.adapters import migrations
from gateway.adapters.store_choice import database_url, trust
from gateway.adapters.store_line import CONNECTING, first_line, make_engine
from gateway.adapters.store_months import missing, month_of, shifted, strays
from gateway.adapters.store_unit import SqlReader
from gateway.settings import Settings
from protocols.errors import ConfigError

NEWEST_TESTED = 15
Answer = TypeVar("Answer")
DURABLE = "SELECT current_setting('fsync') || ' ' || current_setting('full_page_writes')"


@dataclass(frozen=True, slots=True)
class Condition:
    """How a PostgreSQL database stands; `advice` says what to type where it is not good."""

    good: bool
    detail: str
    advice: str = ""


def rows_of(settings: Settings, table: str, columns: str, order: str) -> Sequence[Sequence[Any]] | None:
    """Return the rows of a table, None where there is no database or table yet; raises ConfigError."""
    statement = f"SELECT {columns} FROM {table} ORDER BY {order}"  # noqa: S608 - names of ours
    if settings.store.url is None:
        return _rows_of_file(settings, table, statement)

    async def read(reader: SqlReader) -> Sequence[Sequence[Any]] | None:
        if (await reader.execute(text(f"SELECT to_regclass('{table}')"))).scalar_one() is None:
            return None
        return [tuple(row) for row in await reader.execute(text(statement))]

    return _aside(settings, read)


def _rows_of_file(settings: Settings, table: str, statement: str) -> Sequence[Sequence[Any]] | None:
    database = settings.database.resolve()
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                return None
            return connection.execute(statement).fetchall()
    except sqlite3.Error as error:
        raise ConfigError(f"{settings.database}: {error}") from None


def condition(settings: Settings, now: datetime) -> Condition:
    """Look at server, schema, durability and months of the PostgreSQL database."""
    try:
        return _aside(settings, lambda reader: _look(reader, now))
    except ConfigError as error:
        return Condition(good=False, detail=str(error), advice="start the database, or correct [store]; see RUNBOOK 4a")


async def _look(reader: SqlReader, now: datetime) -> Condition:
    version = str((await reader.execute(text("SELECT current_setting('server_version')"))).scalar_one())
    if int(version.split(".", maxsplit=1)[0].split(maxsplit=1)[0]) < NEWEST_TESTED:
        return Condition(good=False, detail=f"PostgreSQL {version}", advice="use PostgreSQL 15 or later")
    durable = str((await reader.execute(text(DURABLE))).scalar_one())
    if durable != "on on":
        advice = "set fsync = on and full_page_writes = on: a power cut would lose what was acknowledged"
        return Condition(
            good=False, detail=f"PostgreSQL {version}, fsync and full_page_writes are {durable}", advice=advice
        )
    if (await reader.execute(text("SELECT to_regclass('alembic_version')"))).scalar_one() is None:
        return Condition(good=True, detail=f"PostgreSQL {version}, empty; filled at the first start")
    at = {row.version_num for row in await reader.execute(text("SELECT version_num FROM alembic_version"))}
    if at - migrations.known():
        advice = "upgrade this installation"
        return Condition(good=False, detail="the database was written by a newer version", advice=advice)
    if at != migrations.heads():
        return Condition(good=True, detail=f"PostgreSQL {version}, schema is brought up to date at the next start")
    return await _months(reader, version, now)


async def _months(reader: SqlReader, version: str, now: datetime) -> Condition:
    soon = shifted(month_of(now), 1)
    lacking = [f"{one.table} {month:%Y-%m}" for one, month in await missing(reader, now) if month <= soon]
    if lacking:
        detail = f"partitions are missing: {', '.join(lacking)}; their rows go to the default partition"
        advice = "start the gateway: it makes them; a month of which rows lie there already stays there"
        return Condition(good=False, detail=detail, advice=advice)
    lying = "".join(f", {count} rows of {table} fit no month" for table, count in await strays(reader))
    size = int((await reader.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())
    return Condition(good=True, detail=f"PostgreSQL {version}, {size // 2**20} MB, months made ahead{lying}")


def _aside(settings: Settings, look: Callable[[SqlReader], Awaitable[Answer]]) -> Answer:
    """Run `look` in a loop of its own: the doctor's checks are plain functions."""
    url = database_url(settings)

    async def run() -> Answer:
        engine = make_engine(url, trust(settings, url), 1, {"default_transaction_read_only": "on"})
        try:
            async with engine.connect() as connection:
                return await look(SqlReader(connection))
        except (*CONNECTING, DBAPIError) as error:
            raise ConfigError(f"{url.host or url.query.get('host')}/{url.database}: {first_line(error)}") from None
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1) as aside:
        return aside.submit(asyncio.run, run()).result()
