"""For revisions: on PostgreSQL, part a table by month; SQLite keeps one table."""

from collections.abc import Sequence

from alembic import op


def on_postgresql() -> bool:
    """Tell whether the revision runs on PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"


def part_by_month(table: str, column: str, *, key: Sequence[str], number: str | None = None) -> None:
    """Turn `table` into partitions by `column`, with the primary key `key`; `number` is its serial column.

    Constraints and indexes beside the primary key are the caller's to make again. Months are made by the store
    (`gateway.adapters.store_months`).
    """
    if not on_postgresql():
        return
    if number is not None:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {number} TYPE bigint")
        op.execute(f"ALTER SEQUENCE {table}_{number}_seq AS bigint")
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
    op.execute(f"CREATE TABLE {table} (LIKE {table}_whole INCLUDING DEFAULTS) PARTITION BY RANGE ({column})")
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute(f"INSERT INTO {table} SELECT * FROM {table}_whole")  # noqa: S608 - names of ours
    if number is not None:
        op.execute(f"ALTER SEQUENCE {table}_{number}_seq OWNED BY {table}.{number}")
    op.execute(f"DROP TABLE {table}_whole")
    op.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(key)})")


def sort_by_bytes(table: str, column: str, length: int) -> None:
    """Let a text column of PostgreSQL sort as its bytes, whatever the database's language."""
    if on_postgresql():
        op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')
