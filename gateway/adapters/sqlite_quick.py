"""The SQLite driver with as few visits to its thread as a unit of work can do with.

aiosqlite goes to the connection's thread and back for the cursor, the statement, the rows and the end of the cursor:
four times where once will do. Each visit waits for the interpreter's lock, which is most of what a small statement
costs. Statements, rows and errors are the same.

**What nobody waits for is queued**: the beginning of a transaction and writes without a result run right before the
next statement, or before the commit, in the same visit and in their order. Where one of them fails, everything after
it fails with the same error until the rollback, so that a unit of work can never commit without it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import aiosqlite
from sqlalchemy.exc import DBAPIError
from typing_extensions import override

Query = tuple[str, Sequence[Any]]
"""A statement and its parameters."""


class QuickConnection(aiosqlite.Connection):
    """A connection to `path` for `create_async_engine(async_creator=...)`."""

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: sqlite3.connect(path), iter_chunk_size=64)
        self._thread.daemon = True
        self._queued: list[tuple[str, Sequence[Sequence[Any]] | None]] = []
        self._broken: Exception | None = None
        self._begun = 0
        self._ended = 0

    @override
    def cursor(self) -> "QuickCursor":  # type: ignore[override]  # SQLAlchemy only enters, uses and closes it
        """Return a cursor; nothing happens in the thread yet."""
        return QuickCursor(self)

    def queue(self, statement: str, rows: Sequence[Sequence[Any]] | None = None) -> None:
        """Run a statement before the next one or the commit: once as it stands, or for each of `rows`."""
        self._queued.append((statement, rows))

    async def work(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run what is queued and then a job in the connection's thread."""
        queued, self._queued = self._queued, []

        def visit() -> Any:
            try:
                self._drain(queued)
                return job(self._conn)
            finally:
                self._ended += 1

        self._begun += 1
        return await self._execute(visit)  # type: ignore[no-untyped-call]  # aiosqlite gives it no types

    def _drain(self, queued: Sequence[tuple[str, Sequence[Sequence[Any]] | None]]) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            for statement, rows in queued:
                if rows is None:
                    self._conn.execute(statement)
                elif len(rows) == 1:
                    self._conn.execute(statement, rows[0])
                else:
                    self._conn.executemany(statement, rows)
        except Exception as error:
            self._broken = error
            raise

    async def fetch(self, queries: Sequence[Query]) -> list[list[Any]]:
        """Return the rows of several statements, in one visit; raises SQLAlchemy's form of the driver's errors."""

        def job(connection: sqlite3.Connection) -> list[list[Any]]:
            return [connection.execute(statement, values).fetchall() for statement, values in queries]

        try:
            return list(await self.work(job))
        except sqlite3.Error as error:
            raise DBAPIError.instance(queries[0][0], None, error, sqlite3.Error) from error

    @override
    async def commit(self) -> None:
        """Run what is queued and commit; what cannot be committed is rolled back, as nobody else does it then."""
        try:
            await self.work(lambda connection: connection.commit())
        except sqlite3.Error:
            await self.rollback()
            raise

    @override
    async def rollback(self) -> None:
        """Forget what is queued and roll back; without a visit where nothing has begun."""
        self._queued = []
        if self._begun != self._ended or self.in_transaction:
            await self._execute(self._roll_back)  # type: ignore[no-untyped-call]  # aiosqlite gives it no types
        else:
            self._broken = None

    def _roll_back(self) -> None:
        self._broken = None
        self._conn.rollback()


class QuickCursor:
    """What SQLAlchemy needs of a cursor: one statement at a time, its rows buffered."""

    arraysize = 1

    def __init__(self, connection: QuickConnection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Self:
        """Run a statement and fetch its rows."""
        return await self._run(lambda cursor: cursor.execute(operation, parameters))

    async def executemany(self, operation: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Run a statement for each row of parameters."""
        return await self._run(lambda cursor: cursor.executemany(operation, parameters))

    async def _run(self, statement: Callable[[sqlite3.Cursor], Any]) -> Self:
        def job(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                statement(cursor)
                self._rows = cursor.fetchall() if cursor.description else ()
                self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        await self._connection.work(job)
        return self

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows."""
        return self._rows

    async def close(self) -> None:
        """Let go of the rows; the cursor in the thread is closed already."""
        self._rows = ()
