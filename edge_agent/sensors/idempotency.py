"""Remembers requests by their `Idempotency-Key`, over restarts, for 72 h.

**The event ids are fixed on disk before the alarm is**: a request that is repeated after a crash puts its alarms under
the same ids, and every store above keeps an id once. So a retry neither loses nor doubles.
"""

import asyncio
import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import SpoolFullError

KEEP_S = 72 * 3600
_Write = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Known:
    """An earlier request: its event ids, whether it was the same body, whether its alarms are on disk for sure."""

    ids: tuple[str, ...]
    same: bool
    done: bool


class Requests:
    """One small SQLite file; concurrent requests share a commit. Cancelling is safe."""

    def __init__(self, path: Path) -> None:
        self._lock = asyncio.Lock()
        self._waiting: list[_Write] = []
        self._finished: set[str] = set()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS request (key TEXT PRIMARY KEY, digest BLOB NOT NULL, ids TEXT NOT NULL, "
            "done INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL)"
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS request_at ON request (at)")

    async def find(self, key: str, body: bytes) -> Known | None:
        """Return an earlier request with this key, None for a new one."""
        async with self._lock:
            row = await asyncio.to_thread(self._find, key)
        if row is None:
            return None
        same, done = bytes(row[0]) == hashlib.sha256(body).digest(), bool(row[2]) or key in self._finished
        return Known(tuple(json.loads(row[1])), same, done)

    async def begin(self, key: str, body: bytes, ids: tuple[str, ...], now: float) -> None:
        """Fix the ids of a new request; durable on return. `now` is Unix seconds. Raises SpoolFullError."""
        digest = hashlib.sha256(body).digest()
        write: _Write = ("INSERT OR IGNORE INTO request VALUES (?, ?, ?, 0, ?)", (key, digest, json.dumps(ids), now))
        self._waiting.append(write)
        async with self._lock:
            if write in self._waiting:  # else another request's commit took it along
                batch, self._waiting = self._waiting, []
                batch.append(("DELETE FROM request WHERE at < ?", (now - KEEP_S,)))
                written = set(self._finished)
                try:
                    await asyncio.shield(asyncio.to_thread(self._commit, batch))
                except sqlite3.Error as error:
                    self._waiting = [kept for kept in batch if kept is not write] + self._waiting
                    raise SpoolFullError(f"the request cannot be noted on disk: {error}") from error
                self._finished -= written

    def finish(self, key: str) -> None:
        """Note that the alarms are stored; written with the next request. Losing it only costs a repeated put."""
        self._finished.add(key)
        self._waiting.append(("UPDATE request SET done = 1 WHERE key = ?", (key,)))

    def _find(self, key: str) -> tuple[bytes, str, int] | None:
        found: tuple[bytes, str, int] | None = self._db.execute(
            "SELECT digest, ids, done FROM request WHERE key = ?", (key,)
        ).fetchone()
        return found

    def _commit(self, batch: list[_Write]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in batch:
                self._db.execute(statement, values)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._waiting:
            self._commit(self._waiting)
            self._waiting = []
        self._db.close()
