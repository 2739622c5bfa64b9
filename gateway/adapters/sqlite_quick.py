"""The SQLite driver with one visit to its thread for each statement.

aiosqlite goes to the connection's thread and back for the cursor, the statement, the rows and the end of the cursor:
four times where once will do. Each visit waits for the interpreter's lock, which is most of what a small statement
costs. Statements, rows and errors are the same.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import aiosqlite
from typing_extensions import override


class QuickConnection(aiosqlite.Connection):
    """A connection to `path` for `create_async_engine(async_creator=...)`."""

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: sqlite3.connect(path), iter_chunk_size=64)
        self._thread.daemon = True

    @override
    def cursor(self) -> "QuickCursor":  # type: ignore[override]  # SQLAlchemy only enters, uses and closes it
        """Return a cursor; nothing happens in the thread yet."""
        return QuickCursor(self)

    async def work(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run a job in the connection's thread."""
        return await self._execute(lambda: job(self._conn))  # type: ignore[no-untyped-call]  # as its library has it


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
