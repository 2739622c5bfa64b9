"""The statements of a unit of work that run for every record: compiled once, filled in by hand.

Building, looking up and filling in a statement of the toolkit costs several times what the database takes for a row.
The SQL is still the toolkit's, and so are the types' conversions; only their way from row to row is shorter.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any, Protocol

from pydantic_core import from_json, to_json
from sqlalchemy import Column, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import TypeEngine

from gateway.adapters.sqlite_quick import Query, QuickConnection
from gateway.ports.store import UtcTime, Wanted, microseconds

Convert = Callable[[Any], Any] | None
AT_ONCE = 512
"""Keys of one statement at most."""
ROWS_AT_ONCE = 64
VALUES_AT_ONCE = 2000
"""Rows and values of one insert at most; SQLite takes 32766 values (SQLITE_MAX_VARIABLE_NUMBER)."""


def json_text(value: Any) -> str:
    """Write a JSON column; four times as quick as the toolkit's own way, with the same meaning."""
    return to_json(value).decode()


JSON_COLUMNS: Mapping[str, Any] = {"json_serializer": json_text, "json_deserializer": from_json}
"""How an engine writes and reads JSON columns; arguments of `create_async_engine`."""


class Hand(Protocol):
    """Runs statements as the driver takes them."""

    async def write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row, now or before the next one or the commit."""
        ...

    async def fetch(self, queries: Sequence[Query]) -> list[list[Any]]:
        """Return the rows of each query."""
        ...


class SqliteHand:
    """Writes are queued, queries of one call share a visit."""

    def __init__(self, connection: QuickConnection) -> None:
        self._connection = connection

    async def write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """See Hand."""
        for text, some in _together(statement, rows):
            self._connection.queue(text, some)

    async def fetch(self, queries: Sequence[Query]) -> list[list[Any]]:
        """See Hand."""
        return await self._connection.fetch(queries)


class PostgresHand:
    """Everything runs at once, one statement after the other."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """See Hand."""
        await self._connection.exec_driver_sql(statement, [tuple(row) for row in rows])

    async def fetch(self, queries: Sequence[Query]) -> list[list[Any]]:
        """See Hand."""
        return [
            list((await self._connection.exec_driver_sql(statement, tuple(values))).all())
            for statement, values in queries
        ]


def _together(statement: str, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    """Yield the insert of one row as few inserts of many: 2, 4 .. ROWS_AT_ONCE of them, so that few texts exist.

    Each row that is written for itself gives the interpreter's lock away and waits to get it back, behind whatever the
    event loop does meanwhile. Rows go in in their order; one that meets an earlier one of the same statement replaces
    it, as it would in a statement of its own.
    """
    head, mark, tail = _parts(statement)
    at = 0
    while at < len(rows):
        count = min(ROWS_AT_ONCE, 1 << ((len(rows) - at).bit_length() - 1), max(1, VALUES_AT_ONCE // len(rows[at])))
        some = rows[at : at + count]
        at += count
        yield f"{head}{', '.join([mark] * count)}{tail}", [[value for row in some for value in row]]


@cache
def _parts(statement: str) -> tuple[str, str, str]:
    """Return what stands before, in and behind the one row of values of an insert."""
    head, word, rest = statement.partition(" VALUES ")
    mark, end, tail = rest.partition(")")
    if not word or "(" in mark[1:]:
        raise AssertionError(f"this insert has no plain row of values: {statement}")
    return head + word, mark + end, tail


def hand_of(connection: AsyncConnection) -> Hand:
    """Return what runs quick statements on a connection that is open."""
    pooled = connection.sync_connection.connection if connection.sync_connection is not None else None
    driver = pooled.driver_connection if pooled is not None else None
    return SqliteHand(driver) if isinstance(driver, QuickConnection) else PostgresHand(connection)


@dataclass(frozen=True, slots=True)
class Writing:
    """An insert whose rows are filled in by hand."""

    sql: str
    names: tuple[str, ...]
    converts: tuple[tuple[int, Callable[[Any], Any]], ...]
    """Place and conversion of the columns that have one."""

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Return the parameters of rows; all have the names of the statement."""
        found = [[row[name] for name in self.names] for row in rows]
        for place, convert in self.converts:
            for values in found:
                values[place] = convert(values[place])
        return found


@dataclass(frozen=True, slots=True)
class Finding:
    """How rows are found by a key, whatever the number of keys."""

    head: str
    keys: tuple[str, ...]
    marks: tuple[tuple[str, Convert], ...]
    row: Any
    converts: tuple[tuple[int, Callable[[Any], Any]], ...]
    numbered: bool
    places: dict[int, str] = field(default_factory=dict)

    def query(self, keys: Sequence[tuple[Any, ...]]) -> Query:
        """Return the statement for at most AT_ONCE keys. Their number is rounded up, so that few texts exist."""
        padded = [*keys, *([keys[-1]] * ((1 << (len(keys) - 1).bit_length()) - len(keys)))]
        values: list[Any] = [*chain.from_iterable(padded)]
        for place, (_, convert) in enumerate(self.marks):
            if convert is not None:
                values[place :: len(self.marks)] = map(convert, values[place :: len(self.marks)])
        if (places := self.places.get(len(padded))) is None:
            places = self.places[len(padded)] = self._places(len(padded))
        return f"{self.head} IN (VALUES {places})", values

    def _places(self, count: int) -> str:
        width = len(self.marks)
        rows = []
        for at in range(count):
            marks = (
                mark.format(at * width + place + 1) if self.numbered else mark
                for place, (mark, _) in enumerate(self.marks)
            )
            rows.append(f"({', '.join(marks)})")
        return ", ".join(rows)

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the rows as named tuples of the columns' types."""
        values = [[*one] for one in found]
        for place, read in self.converts:
            for one in values:
                if one[place] is not None:
                    one[place] = read(one[place])
        return [*map(self.row._make, values)]


class Statements:
    """All quick statements of one store, made at their first use."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._writings: dict[tuple[Table, tuple[str, ...], tuple[str, ...] | None], Writing | None] = {}
        self._findings: dict[tuple[Table, tuple[str, ...]], Finding] = {}

    def writing(self, table: Table, names: tuple[str, ...], key: tuple[str, ...] | None) -> Writing | None:
        """Return an insert of these columns that replaces rows with the same `key` (empty: primary key; None: never).

        None where the table has defaults that the toolkit must fill in.
        """
        found = (table, names, key)
        if found not in self._writings:
            self._writings[found] = self._writing(table, names, key)
        return self._writings[found]

    def _writing(self, table: Table, names: tuple[str, ...], key: tuple[str, ...] | None) -> Writing | None:
        made = statement_of(self._dialect.name, table, names, key).inline()
        compiled: Any = made.compile(dialect=self._dialect, column_keys=list(names))
        order = list(compiled.positiontup)
        if sorted(order) != sorted(names):
            return None
        return Writing(
            str(compiled), tuple(order), _some(_binding(compiled.binds[n].type, self._dialect) for n in order)
        )

    def finding(self, table: Table, key: tuple[str, ...]) -> Finding:
        """Return how rows of a table are found by these columns (empty: primary key)."""
        if (table, key) not in self._findings:
            self._findings[table, key] = self._finding(table, key)
        return self._findings[table, key]

    def _finding(self, table: Table, key: tuple[str, ...]) -> Finding:
        dialect, named = self._dialect, self._dialect.identifier_preparer.format_column
        keys = key or tuple(column.name for column in table.primary_key)
        columns = list(table.columns)
        numbered = dialect.name == "postgresql"
        wanted = ", ".join(named(column) for column in columns)
        by = ", ".join(named(table.c[name]) for name in keys)
        return Finding(
            head=f"SELECT {wanted} FROM {dialect.identifier_preparer.format_table(table)} WHERE ({by})",  # noqa: S608 - names of our own tables
            keys=keys,
            marks=tuple(self._mark(table.c[name], numbered=numbered) for name in keys),
            row=namedtuple(table.name, [column.name for column in columns]),
            converts=_some(column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns),
            numbered=numbered,
        )

    def _mark(self, column: Column[Any], *, numbered: bool) -> tuple[str, Convert]:
        mark = f"${{}}::{column.type.compile(self._dialect)}" if numbered else "?"
        return mark, _binding(column.type, self._dialect)

    def queries(self, wanted: Sequence[Wanted]) -> list[tuple[int, Finding, Query]]:
        """Return the statements that answer `wanted`, each with the number of the wish it belongs to."""
        made: list[tuple[int, Finding, Query]] = []
        for number, wish in enumerate(wanted):
            finding, keys = self.finding(wish.table, tuple(wish.key)), list(wish.keys)
            parts = (keys[first : first + AT_ONCE] for first in range(0, len(keys), AT_ONCE))
            made.extend((number, finding, finding.query(part)) for part in parts)
        return made


def _some(converts: Iterable[Convert]) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
    """Return the place of each conversion that there is."""
    return tuple((place, convert) for place, convert in enumerate(converts) if convert is not None)


def _binding(kind: TypeEngine[Any], dialect: Dialect) -> Convert:
    """Return what makes a value what the driver takes; that of times comes in every row, so it goes straight."""
    return microseconds if isinstance(kind, UtcTime) else kind.dialect_impl(dialect).bind_processor(dialect)


def statement_of(dialect: str, table: Table, names: tuple[str, ...], key: tuple[str, ...] | None) -> Insert:
    """Return the insert of `Statements.writing` in the toolkit's own form."""
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    if key is None:
        return statement
    keys = key or tuple(column.name for column in table.primary_key)
    fresh = {name: statement.excluded[name] for name in names if name not in keys}
    if not fresh:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(index_elements=keys, set_=fresh)
