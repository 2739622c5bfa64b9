"""A migrated database is what the rooms' tables say, and a second start does not touch it."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gateway.adapters.migrations import VERSIONS, heads, upgrade
from gateway.adapters.migrations.__main__ import difference, tables_of
from gateway.adapters.store_postgres import PostgresStore
from protocols.aio.clock import SystemClock
from protocols.errors import ConfigError
from tests.support.postgres import TEMPLATE, shared_cluster

ROOMS = sorted(head.rpartition("_")[0] for head in heads())


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    assert upgrade(path)
    return path


@pytest.mark.parametrize("room", ROOMS)
def test_the_revisions_make_the_tables_of_the_room(room: str, migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}", poolclass=NullPool)
    with engine.connect() as connection:
        assert difference(connection, tables_of(room)) == ""


@pytest.mark.parametrize("room", ROOMS)
async def test_the_same_revisions_make_them_on_postgresql(room: str) -> None:
    cluster = shared_cluster()
    engine = create_async_engine(cluster.url(TEMPLATE).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(difference, tables_of(room)) == ""
    await engine.dispose()


async def test_replicas_that_start_together_migrate_once(tmp_path: Path) -> None:
    cluster = shared_cluster()
    await cluster.command("CREATE DATABASE silian_empty OWNER silian")
    url = cluster.url("silian_empty")
    stores = [PostgresStore(url, "320600", SystemClock(), lambda _: None, tmp_path / f"{n}.mark") for n in range(3)]
    await asyncio.gather(*(store.__aenter__() for store in stores))
    assert len({store.epoch for store in stores}) == 1
    for store in stores:
        await store.__aexit__(None, None, None)


async def test_a_postgresql_database_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    cluster = shared_cluster()
    url = await cluster.database()
    await cluster.command("INSERT INTO alembic_version VALUES ('alarms_9999')", database=str(url.database))
    with pytest.raises(ConfigError, match="alarms_9999"):
        async with PostgresStore(url, "320600", SystemClock(), lambda _: None, tmp_path / "x.mark"):
            pass


def test_every_room_with_tables_has_revisions() -> None:
    gateway = VERSIONS.parents[2]
    assert {path.parent.name for path in gateway.glob("*/tables.py")} <= set(ROOMS)


def test_a_second_start_has_nothing_to_do(migrated: Path) -> None:
    assert not upgrade(migrated)


def test_a_database_of_a_newer_version_is_refused_by_name(migrated: Path, tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    path.write_bytes(migrated.read_bytes())
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO alembic_version VALUES ('alarms_9999')")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigError, match="alarms_9999"):
        upgrade(path)
