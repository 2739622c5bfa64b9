"""Partitions by month of the tables that only grow, on PostgreSQL.

A month's partition is made before the month begins. **Nothing is refused for want of one**: what fits no month goes to
the default partition, and a month of which rows lie there already stays there. Events are parted by the time inside
their ULID, because their identity must be unique over all partitions (PostgreSQL 15, 5.11.2.3: a unique key holds the
partition key); everything else by the time of its row.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text

from gateway.adapters.store_unit import SqlReader, SqlUnit
from protocols.ids import ulid

logger = logging.getLogger(__name__)
AHEAD = 3
"""Months ahead of the present one whose partitions are there."""
BEHIND = 1
ULID_TIME = 10
"""Characters of a ULID that hold its time."""


def _ulid_bound(at: datetime) -> str:
    return f"'{ulid(int(at.timestamp() * 1000), bytes(10))[:ULID_TIME]}'"


def _time_bound(at: datetime) -> str:
    return str(int(at.timestamp()) * 1_000_000)


@dataclass(frozen=True, slots=True)
class Parted:
    """One table and the column that says which month a row belongs to."""

    table: str
    column: str
    bound: Callable[[datetime], str]

    def partition(self, month: datetime) -> str:
        """Return the name of a month's partition."""
        return f"{self.table}_{month:%Y%m}"

    @property
    def default(self) -> str:
        """Return the name of the partition for what fits no month."""
        return f"{self.table}_default"


PARTED = (
    Parted("events", "id", _ulid_bound),
    Parted("alarm_log", "event_id", _ulid_bound),
    Parted("audit", "at", _time_bound),
    Parted("link_log", "at", _time_bound),
)


def month_of(at: datetime) -> datetime:
    """Return the beginning of the month in UTC."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def shifted(month: datetime, by: int) -> datetime:
    """Return the month `by` months later."""
    years, months = divmod(month.month - 1 + by, 12)
    return month.replace(year=month.year + years, month=months + 1)


def wanted(now: datetime) -> list[datetime]:
    """Return the months whose partitions are to be there."""
    return [shifted(month_of(now), by) for by in range(-BEHIND, AHEAD + 1)]


async def present(reader: SqlReader) -> set[str]:
    """Return the names of all partitions."""
    found = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    return {row.relname for row in await reader.execute(text(found))}


async def missing(reader: SqlReader, now: datetime) -> list[tuple[Parted, datetime]]:
    """Return what should be there and is not."""
    there = await present(reader)
    return [(parted, month) for parted in PARTED for month in wanted(now) if parted.partition(month) not in there]


async def make_months(unit: SqlUnit, now: datetime) -> None:
    """Make the partitions that are missing."""
    for parted, month in await missing(unit, now):
        low, high = parted.bound(month), parted.bound(shifted(month, 1))
        inside = f"{parted.column} >= {low} AND {parted.column} < {high}"
        strays = text(f"SELECT EXISTS (SELECT 1 FROM {parted.default} WHERE {inside})")  # noqa: S608 - names of ours
        if (await unit.execute(strays)).scalar_one():
            continue
        made = f"CREATE TABLE {parted.partition(month)} PARTITION OF {parted.table} FOR VALUES FROM ({low}) TO ({high})"
        await unit.execute(text(made))
        logger.info("partition made", extra={"table": parted.table, "month": f"{month:%Y-%m}"})


async def strays(reader: SqlReader) -> Iterator[tuple[str, int]]:
    """Return the tables whose default partition holds rows, and how many."""
    found = []
    for parted in PARTED:
        count = text(f"SELECT count(*) FROM {parted.default}")  # noqa: S608 - names of ours
        found.append((parted.table, int((await reader.execute(count)).scalar_one())))
    return (one for one in found if one[1])
