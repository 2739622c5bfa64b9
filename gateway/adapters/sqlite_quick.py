"""The SQLite driver with as few visits to its thread as a unit of work can do with.

aiosqlite goes to the connection's thread and back for the cursor, the statement, the rows and the end of the cursor:
four times where once will do. Each visit waits for the interpreter's lock and for a busy machine to give the thread
its turn, which is most of what a small statement costs. Statements, rows and errors are the same.

**A connection that is `swift` runs small statements where it is called.** A row by its key takes less than going to the
thread and back; only what may take long goes there: commits, which wait for the disk, many rows at once, the wait
for a lock that somebody else holds, and everything while `long` is set.

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
LIGHT = 2000
"""Values that are written or asked for without going to the thread: less than a millisecond."""


class QuickConnection(aiosqlite.Connection):
    """A connection to `path` for `create_async_engine(async_creator=...)`.

    `long`: from now on every statement may take long.
    """

    def __init__(self, path: Path, *, swift: bool = False) -> None:
        # The thread and the loop take turns (see `_busy`), and SQLite locks by itself.
        super().__init__(lambda: sqlite3.connect(path, check_same_thread=not swift), iter_chunk_size=64)
        self._thread.daemon = True
        self.long = False
        self._swift = swift
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

    @property
    def _busy(self) -> bool:
        """Whether the thread is at work; a visit that nobody waits for any more goes on there."""
        return self._begun != self._ended

    async def begin(self, statement: str) -> None:
        """Run the statement that begins a transaction; where it must wait for a lock, in the thread. As `fetch`."""
        if self._swift and not self._busy:
            wait_ms = self._conn.execute("PRAGMA busy_timeout").fetchone()[0]
            self._conn.execute("PRAGMA busy_timeout = 0")
            try:
                self._conn.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise _known(error, statement) from error
            finally:
                self._conn.execute(f"PRAGMA busy_timeout = {wait_ms}")
        try:
            await self._in_thread(lambda connection: connection.execute(statement))
        except sqlite3.Error as error:
            raise _known(error, statement) from error

    async def work(self, job: Callable[[sqlite3.Connection], Any], values: int = 1) -> Any:
        """Run what is queued and then a job with so many values; in the thread where that may take long."""
        values += sum(len(row) for _, rows in self._queued for row in rows or ())
        if self._swift and values <= LIGHT and not self.long and not self._busy:
            queued, self._queued = self._queued, []
            self._drain(queued)
            return job(self._conn)
        return await self._in_thread(job)

    async def _in_thread(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
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
            return list(await self.work(job, sum(len(values) for _, values in queries)))
        except sqlite3.Error as error:
            raise _known(error, queries[0][0]) from error

    async def settle(self) -> None:
        """Run what is queued, so that what is wrong with it is known now; raises as `fetch` does."""
        if self._queued or self._broken is not None:
            try:
                await self.work(lambda _: None)
            except sqlite3.Error as error:
                raise _known(error, "queued") from error

    async def save(self) -> None:
        """Begin what `undo` takes back without the rest of the transaction."""
        await self.work(lambda connection: connection.execute("SAVEPOINT unit"))

    async def keep(self) -> None:
        """End what `save` began; it belongs to the transaction from now on."""
        await self.work(lambda connection: connection.execute("RELEASE unit"))

    async def undo(self) -> bool:
        """Take back what came since `save`; False where the database has given up the whole transaction."""
        self._queued = []
        if self._busy:
            await self._execute(lambda: None)  # type: ignore[no-untyped-call]  # aiosqlite gives it no types
        self._broken = None
        if not self.in_transaction:
            return False
        try:
            self._conn.execute("ROLLBACK TO unit")
            self._conn.execute("RELEASE unit")
        except sqlite3.Error:
            return False
        return True

    @override
    async def commit(self) -> None:
        """Run what is queued and commit; what cannot be committed is rolled back, as nobody else does it then."""
        try:
            await self._in_thread(lambda connection: connection.commit())
        except sqlite3.Error:
            await self.rollback()
            raise

    async def make_durable(self) -> None:
        """Do what `commit` does; raises SQLAlchemy's form of the driver's errors."""
        try:
            await self.commit()
        except sqlite3.Error as error:
            raise _known(error, "COMMIT") from error

    @override
    async def rollback(self) -> None:
        """Forget what is queued and roll back; without a visit where nothing has begun."""
        self._queued = []
        if self._busy or self.in_transaction:
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
        rows = list(parameters)
        return await self._run(lambda cursor: cursor.executemany(operation, rows), sum(map(len, rows)))

    async def _run(self, statement: Callable[[sqlite3.Cursor], Any], values: int = 1) -> Self:
        def job(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                statement(cursor)
                self._rows = cursor.fetchall() if cursor.description else ()
                self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        await self._connection.work(job, values)
        return self

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows."""
        return self._rows

    async def close(self) -> None:
        """Let go of the rows; the cursor in the thread is closed already."""
        self._rows = ()


def _known(error: sqlite3.Error, statement: str) -> DBAPIError:
    """Return the toolkit's form of an error of the driver."""
    made = DBAPIError.instance(statement, None, error, sqlite3.Error)
    if not isinstance(made, DBAPIError):
        raise AssertionError("an error of the driver has a form of the toolkit")
    return made
