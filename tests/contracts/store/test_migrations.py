"""A migrated database is what the rooms' tables say, and a second start does not touch it."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from gateway.adapters.migrations import VERSIONS, heads, upgrade
from gateway.adapters.migrations.__main__ import difference, tables_of
from protocols.errors import ConfigError

ROOMS = sorted(head.rpartition("_")[0] for head in heads())


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "gateway.db"
    assert upgrade(path)
    return path


@pytest.mark.parametrize("room", ROOMS)
def test_the_revisions_make_the_tables_of_the_room(room: str, migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}", poolclass=NullPool)
    assert difference(engine, tables_of(room)) == ""


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
