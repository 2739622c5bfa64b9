"""The spool's database file: plain SQL on one connection, used by the spool's thread alone.

**A record is in exactly one state**: owed (`settled_at` is null), history (receipted, kept for a replay) or
quarantine (refused). Row ids are `lane << 48 | number`, so one lane is one range of the table.
"""

import json
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from protocols.aio.folding import Foldable, Folded, fold
from protocols.envelope import DURABLE_LANES, Lane
from protocols.errors import NotFoundError, SpoolFullError
from protocols.ranges import Ranges
from protocols.receiver import Held
from protocols.sender import WINDOW
from protocols.uplink import Parcel, Receipt, VoidRange, record_parcel, void_parcel

logger = logging.getLogger(__name__)
PAGE = 4096
NEAR = 0.80
"""From this share of the quota on, history goes first and repeats are folded (reference alarms.md 10, item 7)."""
BORDER = 0.96
"""From this share on nothing new is taken: the rest is kept for receipts, refusals and deletions."""
FOLD_WORK = 50
"""Folding reads every owed record: a put may cost the reading of so many at most, on average."""
ROWS_AT_ONCE = 64
"""Records of one insert: each insert gives the interpreter's lock away and has to wait until it gets it back."""
_INSERT = "INSERT INTO records (id, event, hops, alarm, raised, raises, put_at) VALUES"
_ROW = "(?, ?, ?, ?, ?, ?, ?)"
_SHIFT = 48
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lanes (lane INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, settled TEXT NOT NULL,
    history INTEGER NOT NULL, history_bytes INTEGER NOT NULL, history_low INTEGER NOT NULL, unsent_from INTEGER);
CREATE TABLE records (id INTEGER PRIMARY KEY, event TEXT NOT NULL, hops TEXT NOT NULL, alarm TEXT, raised INTEGER,
    raises INTEGER NOT NULL, put_at REAL NOT NULL, settled_at REAL);
CREATE INDEX owed ON records (id) WHERE settled_at IS NULL;
CREATE TABLE voids (id INTEGER PRIMARY KEY, last INTEGER NOT NULL, by INTEGER, settled_at REAL);
CREATE TABLE quarantine (id INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, seq INTEGER NOT NULL,
    event TEXT NOT NULL, hops TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, refused_at REAL NOT NULL);
CREATE TABLE held (node TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (node, epoch, lane)) WITHOUT ROWID;
"""


@dataclass(slots=True)
class Item:
    """One event to be stored; `alarm` names source and alarm key of a raise or clear, `raised` tells which."""

    lane: Lane
    event: str
    hops: str = "[]"
    alarm: str | None = None
    raised: bool = False
    raises: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of the file, bytes of its history, seconds that history is kept."""

    quota: int
    history: int
    history_s: float


@dataclass(slots=True)
class _LaneState:
    next_seq: int = 1
    settled: Ranges = field(default_factory=Ranges)
    history: int = 0
    history_bytes: int = 0
    history_low: int = 1
    unsent_from: int | None = None
    handed_out: int = 0
    safe_from: int = 1
    sent_to: int = 0


class SpoolFile:
    """All methods run inside the transaction that the spool's thread has opened."""

    def __init__(self, path: Path, limits: Limits, *, fresh_epoch: Callable[[], str]) -> None:
        self.counters: Counter[str] = Counter()
        self._fresh_epoch = fresh_epoch
        self._quota_pages = max(64, limits.quota // PAGE)
        self._history = limits.history
        self._history_s = limits.history_s
        self._since_fold = self._fold_rows = 0
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        db = self._db
        db.execute(f"PRAGMA page_size={PAGE}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA journal_size_limit=8388608")
        db.execute(f"PRAGMA max_page_count={self._quota_pages}")
        db.execute("PRAGMA cache_size=-4096")
        self.begin()
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone():
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('epoch', ?), ('origin_counter', '1')", (self._fresh_epoch(),))
            db.executemany(
                "INSERT INTO lanes VALUES (?, 1, '[]', 0, 0, 1, NULL)", [(n,) for n in range(len(DURABLE_LANES))]
            )
        self.epoch = self._meta("epoch")
        self._lanes: dict[Lane, _LaneState] = {}
        self.reload()
        self.guard_sent()
        self.commit()

    def guard_sent(self) -> None:
        """Take note of what an earlier run may have put on the wire: the lowest owed ones, a window at most.

        They are not folded, for the receiver may hold them already.
        """
        for lane, state in self._lanes.items():
            rows = self._owed_ids(lane, WINDOW)
            state.handed_out = 0
            state.safe_from = rows[-1] + 1 if rows else state.next_seq
            if state.unsent_from is None:
                state.unsent_from = state.next_seq
                self._save(lane)
            state.sent_to = max(state.sent_to, state.unsent_from - 1)

    def begin(self) -> None:
        """Open a transaction; what a failed rollback left open is rolled back first."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit; on the disk when it returns."""
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Give up the transaction and forget what was derived from it."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self.reload()

    def reload(self) -> None:
        """Read the lanes' state from the file."""
        for number, next_seq, settled, history, size, low, unsent in self._db.execute("SELECT * FROM lanes"):
            old = self._lanes.get(DURABLE_LANES[number], _LaneState())
            ranges = Ranges(json.loads(settled))
            kept = (old.handed_out, old.safe_from, old.sent_to)
            self._lanes[DURABLE_LANES[number]] = _LaneState(next_seq, ranges, history, size, low, unsent, *kept)

    def checkpoint(self) -> None:
        """Move the log into the file."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # in

    def put(self, items: Sequence[Item], now: float) -> list[int]:
        """Store all items or none; raises SpoolFullError."""
        if self.used() > NEAR:
            self._since_fold += len(items)
            self.make_room()
            if self.used() > BORDER:
                self.counters["full"] += 1
                raise SpoolFullError("the spool's quota is used up; keep the record and try again later")
        numbers = []
        rows = []
        for item in items:
            state = self._lanes[item.lane]
            numbers.append(state.next_seq)
            key = _id(item.lane, state.next_seq)
            rows.append((key, item.event, item.hops, item.alarm, item.raised, item.raises, now))
            state.next_seq += 1
        for first in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[first : first + ROWS_AT_ONCE]
            values = [value for row in some for value in row]
            self._db.execute(f"{_INSERT} {', '.join([_ROW] * len(some))}", values)
        for lane in {item.lane for item in items}:
            query = "UPDATE lanes SET next_seq=? WHERE lane=?"
            self._db.execute(query, (self._lanes[lane].next_seq, DURABLE_LANES.index(lane)))
        self.counters["put"] += len(items)
        return numbers

    def take_counter(self, count: int) -> int:
        """Reserve origin counters."""
        first = int(self._meta("origin_counter"))
        self._db.execute("UPDATE meta SET value=? WHERE key='origin_counter'", (str(first + count),))
        return first

    # out

    def pending(self, lane: Lane, after: int, limit: int) -> list[Parcel]:
        """See Outbox."""
        low, high = _id(lane, after), _id(lane, (1 << _SHIFT) - 1)
        where = "WHERE id>? AND id<=? AND settled_at IS NULL ORDER BY id LIMIT ?"
        rows = self._db.execute(f"SELECT id, event, hops FROM records INDEXED BY owed {where}", (low, high, limit))  # noqa: S608 - constants
        parcels = [record_parcel(_seq(key), event, hops) for key, event, hops in rows]
        voids = self._db.execute(f"SELECT id, last, by FROM voids {where}", (low, high, limit))  # noqa: S608 - constants
        parcels += [void_parcel(VoidRange(first=_seq(key), last=last, by=by)) for key, last, by in voids]
        parcels = sorted(parcels, key=lambda parcel: parcel.first)[:limit]
        if parcels:
            state = self._lanes[lane]
            state.handed_out = max(state.handed_out, parcels[-1].last)
            state.sent_to = max(state.sent_to, state.handed_out)
            if state.unsent_from is not None and state.sent_to >= state.unsent_from:
                state.unsent_from = None
                self._save(lane)
        return parcels

    def settle(self, receipt: Receipt, now: float) -> tuple[int, int]:
        """See Outbox; returns how many records were stored and refused."""
        if receipt.epoch != self.epoch or receipt.lane not in self._lanes:
            return 0, 0
        lane, state = receipt.lane, self._lanes[receipt.lane]
        if receipt.high > state.sent_to:
            self._renew_epoch()
            return 0, 0
        stored = receipt.ranges().within(1, state.next_seq - 1)
        count = 0
        for first, last in stored.minus(state.settled):
            span = (_id(lane, first), _id(lane, last))
            found, size = self._db.execute(
                "SELECT COUNT(*), COALESCE(SUM(LENGTH(event) + LENGTH(hops)), 0) FROM records INDEXED BY owed "
                "WHERE id BETWEEN ? AND ? AND settled_at IS NULL",
                span,
            ).fetchone()
            for table in ("records", "voids"):
                self._settle_rows(table, now, span)
            count += found
            state.history += found
            state.history_bytes += size
            state.settled.add(first, last)
        refused = sum(self._refuse(lane, one.seq, one.code, one.detail, now) for one in receipt.refused)
        self.counters["settled"] += count
        self.counters["refused"] += refused
        self._prune(now)
        self._save(lane)
        return count, refused

    def replay(self, lane: Lane, lost: Ranges) -> Ranges:
        """See Outbox."""
        state = self._lanes[lane]
        beyond = lost.copy()
        for first, last in lost:
            span = (_id(lane, first), _id(lane, last))
            where = "WHERE id BETWEEN ? AND ? AND settled_at IS NOT NULL"
            rows = self._db.execute(f"SELECT id, LENGTH(event) + LENGTH(hops) FROM records {where}", span).fetchall()  # noqa: S608 - constants
            beyond = beyond.minus(Ranges((_seq(key), _seq(key)) for key, _ in rows))
            state.history -= len(rows)
            state.history_bytes -= sum(size for _, size in rows)
            kept = self._db.execute(f"SELECT id, last FROM voids {where}", span).fetchall()  # noqa: S608 - constants
            beyond = beyond.minus(Ranges((_seq(key), end) for key, end in kept))
            self._db.execute(f"UPDATE records SET settled_at=NULL, alarm=NULL {where}", span)  # noqa: S608 - constants
            self._db.execute(f"UPDATE voids SET settled_at=NULL {where}", span)  # noqa: S608 - constants
        for first, last in beyond:
            self._db.execute("INSERT OR REPLACE INTO voids VALUES (?, ?, NULL, NULL)", (_id(lane, first), last))
        state.settled = state.settled.minus(lost)
        self.counters["replayed"] += lost.count - beyond.count
        self.counters["gaps"] += beyond.count
        self._save(lane)
        return beyond

    def _renew_epoch(self) -> None:
        """Start a new count: the peer holds numbers that this file never sent, so it is an older copy of itself.

        Under the old count the peer would take new records for old ones. All that is held is owed again; the peer
        knows an event that it has by its id.
        """
        self.epoch = self._fresh_epoch()
        self._db.execute("UPDATE meta SET value=? WHERE key='epoch'", (self.epoch,))
        self._db.execute("UPDATE records SET settled_at=NULL, alarm=NULL")
        self._db.execute("DELETE FROM voids")
        for lane, state in self._lanes.items():
            span = (_id(lane, 1), _id(lane, state.next_seq - 1))
            rows = self._db.execute("SELECT id FROM records WHERE id BETWEEN ? AND ?", span).fetchall()
            every = Ranges([(1, state.next_seq - 1)]) if state.next_seq > 1 else Ranges()
            for first, last in every.minus(Ranges((_seq(key), _seq(key)) for (key,) in rows)):
                self._db.execute("INSERT INTO voids VALUES (?, ?, 0, NULL)", (_id(lane, first), last))
            state.settled, state.history, state.history_bytes, state.history_low = Ranges(), 0, 0, 1
            state.handed_out, state.sent_to = 0, state.next_seq - 1
            self._save(lane)
        self.counters["renewed"] += 1
        logger.warning("spool is an older copy of itself", extra={"epoch": self.epoch})

    def settled(self, lane: Lane) -> Ranges:
        """See Outbox."""
        return self._lanes[lane].settled.copy()

    def depth(self) -> dict[Lane, int]:
        """See Outbox."""
        found = dict.fromkeys(DURABLE_LANES, 0)
        for table in ("records INDEXED BY owed", "voids"):
            query = f"SELECT id >> {_SHIFT}, COUNT(*) FROM {table} WHERE settled_at IS NULL GROUP BY 1"  # noqa: S608 - constants
            for number, count in self._db.execute(query):
                found[DURABLE_LANES[number]] += count
        return found

    def oldest(self) -> float | None:
        """Return when the oldest owed record was put (Unix time)."""
        firsts = [row for lane in DURABLE_LANES for row in self._owed_ids(lane, 1, what="put_at")]
        return min(firsts, default=None)

    # quarantine and received

    def quarantine(self, limit: int) -> list[tuple[int, int, str, str, str, float]]:
        """Return (id, lane number, event, code, detail, refused_at), newest first."""
        query = "SELECT id, lane, event, code, detail, refused_at FROM quarantine ORDER BY id DESC LIMIT ?"
        return self._db.execute(query, (limit,)).fetchall()

    def resend(self, number: int, now: float) -> int:
        """Move a refused record back to what is owed, under a new number."""
        query = "SELECT lane, event, hops FROM quarantine WHERE id=?"
        row = self._db.execute(query, (number,)).fetchone()
        if row is None:
            raise NotFoundError(f"quarantine has no record {number}")
        (seq,) = self.put([Item(DURABLE_LANES[row[0]], row[1], row[2])], now)
        self._db.execute("DELETE FROM quarantine WHERE id=?", (number,))
        return seq

    def held(self, node: str, epoch: str, lane: Lane) -> Held:
        """See Inbox."""
        query = "SELECT body FROM held WHERE node=? AND epoch=? AND lane=?"
        row = self._db.execute(query, (node, epoch, lane)).fetchone()
        return Held.from_json(row[0] if row else None)

    def hold(self, node: str, epoch: str, lane: Lane, body: str) -> None:
        """See Inbox."""
        self._db.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)", (node, epoch, lane, body))

    # room

    def used(self) -> float:
        """Return the share of the quota that is in use."""
        return self.used_bytes() / (self._quota_pages * PAGE)

    def used_bytes(self) -> int:
        """Return the bytes of all pages in use."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages - free) * PAGE

    def counts(self) -> tuple[int, int]:
        """Return how many records are history and how many in quarantine."""
        history = sum(state.history for state in self._lanes.values())
        return history, self._db.execute("SELECT COUNT(*) FROM quarantine").fetchone()[0]

    def make_room(self) -> None:
        """Drop history, oldest first, then fold repeats of alarms; nothing that is owed is dropped."""
        while self.used() > NEAR and self._drop_history(500):
            pass
        if self.used() > NEAR and self._since_fold * FOLD_WORK >= self._fold_rows:
            self._since_fold, self._fold_rows = 0, 0
            self.counters["coalesced"] += sum(self._fold_lane(lane) for lane in DURABLE_LANES)

    def _fold_lane(self, lane: Lane) -> int:
        state = self._lanes[lane]
        low = _id(lane, max(state.handed_out, state.safe_from - 1))
        rows = self._db.execute(
            "SELECT id, alarm, raised, raises FROM records INDEXED BY owed "
            "WHERE id>? AND id<=? AND settled_at IS NULL AND alarm IS NOT NULL ORDER BY id",
            (low, _id(lane, (1 << _SHIFT) - 1)),
        )
        owed = [Foldable(_seq(key), alarm, bool(raised), raises) for key, alarm, raised, raises in rows]
        folded = fold(owed)
        self._fold_rows += len(owed)
        for survivor, raises in folded.raises.items():
            self._recount(_id(lane, survivor), raises)
        self._withdraw(lane, folded)
        return len(folded.by)

    def _withdraw(self, lane: Lane, folded: Folded) -> None:
        for gone in folded.by:
            self._db.execute("DELETE FROM records WHERE id=?", (_id(lane, gone),))
        # A survivor of an earlier folding that is now folded itself hands its voids on.
        query = "SELECT id, by FROM voids WHERE id BETWEEN ? AND ? AND settled_at IS NULL AND by > 0"
        earlier = self._db.execute(query, (_id(lane, 0), _id(lane, (1 << _SHIFT) - 1))).fetchall()
        heirs = [(folded.by[by], key) for key, by in earlier if by in folded.by]
        self._db.executemany("UPDATE voids SET by=? WHERE id=?", heirs)
        rows = [(_id(lane, void.first), void.last, void.by) for void in folded.voids()]
        self._db.executemany("INSERT OR REPLACE INTO voids VALUES (?, ?, ?, NULL)", rows)

    def _recount(self, key: int, raises: int) -> None:
        event = json.loads(self._db.execute("SELECT event FROM records WHERE id=?", (key,)).fetchone()[0])
        event["data"]["count"] = raises
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        self._db.execute("UPDATE records SET event=?, raises=? WHERE id=?", (text, raises, key))

    def _prune(self, now: float) -> None:
        """Drop history that is too old or too much."""
        while sum(state.history_bytes for state in self._lanes.values()) > self._history:
            if not self._drop_history(200):
                return
        for lane, state in self._lanes.items():
            if not state.history:
                continue
            query = "SELECT settled_at FROM records WHERE id>=? AND id<? AND settled_at IS NOT NULL ORDER BY id LIMIT 1"
            span = (_id(lane, state.history_low), _id(lane, state.next_seq))
            row = self._db.execute(query, span).fetchone()
            if row is not None and row[0] < now - self._history_s:
                self._drop_history(200, only=lane, before=now - self._history_s)

    def _drop_history(self, limit: int, *, only: Lane | None = None, before: float | None = None) -> int:
        """Drop the oldest receipted records, `limit` per lane; returns how many."""
        dropped = 0
        for lane, state in self._lanes.items():
            if (only is not None and lane is not only) or not state.history:
                continue
            query = (
                "SELECT id, LENGTH(event) + LENGTH(hops) FROM records WHERE id>=? AND id<? AND settled_at<? "
                "ORDER BY id LIMIT ?"
            )
            span = (_id(lane, state.history_low), _id(lane, state.next_seq), before or float("inf"), limit)
            rows = self._db.execute(query, span).fetchall()
            if not rows:
                continue
            self._db.executemany("DELETE FROM records WHERE id=?", [(key,) for key, _ in rows])
            last = rows[-1][0]
            self._db.execute(
                "DELETE FROM voids WHERE id BETWEEN ? AND ? AND settled_at IS NOT NULL", (_id(lane, 1), last)
            )
            state.history -= len(rows)
            state.history_bytes -= sum(size for _, size in rows)
            owed = self._owed_ids(lane, 1)
            state.history_low = min(_seq(last) + 1, *owed) if owed else _seq(last) + 1
            self._save(lane)
            dropped += len(rows)
        self.counters["history_dropped"] += dropped
        return dropped

    # rows

    def _refuse(self, lane: Lane, seq: int, code: str, detail: str, now: float) -> int:
        """Move an owed record to the quarantine; its number is owed as void, so that the receiver sees no gap."""
        key = _id(lane, seq)
        query = "SELECT event, hops FROM records WHERE id=? AND settled_at IS NULL"
        row = self._db.execute(query, (key,)).fetchone()
        if row is None:
            return 0
        self._db.execute(
            "INSERT INTO quarantine (lane, seq, event, hops, code, detail, refused_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (DURABLE_LANES.index(lane), seq, *row, code, detail, now),
        )
        self._db.execute("DELETE FROM records WHERE id=?", (key,))
        self._db.execute("INSERT OR REPLACE INTO voids VALUES (?, ?, 0, NULL)", (key, seq))
        return 1

    def _settle_rows(self, table: str, now: float, span: tuple[int, int]) -> None:
        query = f"UPDATE {table} SET settled_at=? WHERE id BETWEEN ? AND ? AND settled_at IS NULL"  # noqa: S608 - ours
        self._db.execute(query, (now, *span))

    def _owed_ids(self, lane: Lane, limit: int, *, what: str = "id") -> list[int]:
        query = (
            f"SELECT {what} FROM records INDEXED BY owed WHERE id>? AND id<=? AND settled_at IS NULL "  # noqa: S608 - ours
            "ORDER BY id LIMIT ?"
        )
        rows = self._db.execute(query, (_id(lane, 0), _id(lane, (1 << _SHIFT) - 1), limit)).fetchall()
        return [_seq(row[0]) if what == "id" else row[0] for row in rows]

    def _save(self, lane: Lane) -> None:
        state = self._lanes[lane]
        query = "UPDATE lanes SET settled=?, history=?, history_bytes=?, history_low=?, unsent_from=? WHERE lane=?"
        text = json.dumps(state.settled.to_list())
        figures = (state.history, state.history_bytes, state.history_low, state.unsent_from)
        self._db.execute(query, (text, *figures, DURABLE_LANES.index(lane)))

    def _meta(self, key: str) -> str:
        return str(self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()[0])


class Ballast:
    """A file of zeros beside the spool: given up when the disk is full, built again when there is room."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def there(self) -> bool:
        """Whether the ballast stands."""
        return self._path.exists()

    def build(self) -> bool:
        """Reserve the space if the disk has four times as much; returns whether it was built now."""
        if self._size == 0 or self.there:
            return False
        room = os.statvfs(self._path.parent)
        if room.f_bavail * room.f_frsize < 4 * self._size:
            return False
        handle = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        finally:
            os.close(handle)
        return True

    def release(self) -> bool:
        """Give the space back; returns whether there was any."""
        if not self.there:
            return False
        self._path.unlink(missing_ok=True)
        return True


def is_full(error: BaseException) -> bool:
    """Tell whether an SQLite error means that disk or quota is used up."""
    name = getattr(error, "sqlite_errorname", "")
    return name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and isinstance(error, sqlite3.OperationalError))


def _id(lane: Lane, seq: int) -> int:
    return DURABLE_LANES.index(lane) << _SHIFT | seq


def _seq(key: int) -> int:
    return key & ((1 << _SHIFT) - 1)
