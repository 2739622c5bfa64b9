"""Bringing a database to the schema of this version; one branch of revisions per room.

`upgrade` looks at the file names first and imports alembic only where something is to be done: a second start must be
quick. A revision's id is its file name.
"""

import re
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, text

from protocols.errors import ConfigError

VERSIONS = Path(__file__).parent / "versions"
_NAME = re.compile(r"^(?P<room>[a-z]+)_(?P<number>[0-9]{4})$")


def heads() -> set[str]:
    """Return the newest revision of each room."""
    newest: dict[str, str] = {}
    for path in sorted(VERSIONS.glob("*_[0-9][0-9][0-9][0-9].py")):
        found = _NAME.match(path.stem)
        if found is None:
            raise AssertionError(f"{path.name}: a revision is named room_0001.py")
        newest[found["room"]] = path.stem
    return set(newest.values())


def known() -> set[str]:
    """Return every revision of this version."""
    return {path.stem for path in VERSIONS.glob("*_[0-9][0-9][0-9][0-9].py")}


def current(connection: sqlite3.Connection) -> set[str]:
    """Return the revisions that the database is at; empty for a new one."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" not in tables:
        return set()
    return {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}


def refuse_newer(at: set[str], place: str) -> None:
    """Raise ConfigError where a database was written by a newer version."""
    if at - known():
        newer = ", ".join(sorted(at - known()))
        raise ConfigError(f"{place} was written by a newer version ({newer}); upgrade this installation")


def upgrade(path: Path) -> bool:
    """Bring the SQLite file to the newest schema; returns whether anything was to be done.

    Raises ConfigError where the database was written by a newer version.
    """
    connection = sqlite3.connect(path)
    try:
        at = current(connection)
    finally:
        connection.close()
    refuse_newer(at, f"state.dir: {path.name}")
    if at == heads():
        return False
    _run_alembic({"path": path})
    return True


def upgrade_connection(connection: Connection, place: str) -> bool:
    """Bring the database behind a connection to the newest schema, within its transaction; see `upgrade`.

    The caller keeps others away: two replicas that start together must not do it twice.
    """
    at: set[str] = set()
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is not None:
        at = {row[0] for row in connection.execute(text("SELECT version_num FROM alembic_version"))}
    refuse_newer(at, place)
    if at == heads():
        return False
    _run_alembic({"connection": connection})
    return True


def _run_alembic(target: dict[str, object]) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(target)
    command.upgrade(config, "heads")
