"""The durable queue of a node: what it owes upward, what it holds from above, its epoch and its origin counter.

SQLite in its own thread (WAL, synchronous=FULL). **`put` returns after the disk, never before.** Commits are grouped:
everything that arrives while one commit runs goes into the next. At the quota repeats of one alarm are folded into
one (void ranges name the survivor); when nothing can be folded, `put` raises SpoolFullError and the sensor keeps it.
"""

import asyncio
import fcntl
import json
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from protocols.aio.clock import Clock, new_ulid
from protocols.aio.commits import GroupCommit
from protocols.aio.spool_file import Ballast, Item, Limits, SpoolFile
from protocols.aio.uplink import Settled
from protocols.alarm import CLEARED, RAISED
from protocols.envelope import DURABLE_LANES, EVENT_BYTES, Event, Hop, Lane, Record, parse_event
from protocols.errors import ConfigError, SilianError, TooLargeError
from protocols.ranges import Ranges
from protocols.receiver import Held, Intake, judge
from protocols.uplink import Frame, Parcel, Receipt

logger = logging.getLogger(__name__)
LONG_QUEUE = 512
"""A live or urgent queue longer than this is a backlog: what comes then goes to the backfill lane."""
TIDY_S = 30.0

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Quota:
    """Sizes in bytes, times in seconds. `total` bounds the database file, `history` its receipted part."""

    total: int = 256 * MIB
    history: int = 64 * MIB
    history_s: float = 72 * 3600.0
    ballast: int = 8 * MIB
    quarantine: int = 10_000


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that the peer refused."""

    id: int
    lane: Lane
    event: Event
    code: str
    detail: str
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class SpoolFigures:
    """For metrics and heartbeats."""

    depth: Mapping[Lane, int]
    oldest_at: datetime | None
    used_bytes: int
    quota_bytes: int
    history: int
    quarantined: int
    ballast: bool


class Spool:
    """Open with `await Spool.open(path, ...)`, close with `await close()`; implements Outbox and Inbox.

    counters: put, commits, coalesced, full, settled, refused, replayed, gaps, history_dropped, ballast_released,
    ballast_rebuilt, damaged, renewed.
    """

    def __init__(self, file: SpoolFile, ballast: Ballast, lock: int, *, clock: Clock, quota: Quota) -> None:
        self.quota = quota
        self.counters: Counter[str] = file.counters
        self._file = file
        self._ballast = ballast
        self._lock = lock
        self._clock = clock
        self._changed = asyncio.Event()
        self._commits = GroupCommit(file, ballast)
        self._depth: dict[Lane, int] = {}
        self._link_up = False
        self._closed = False
        self._tidied = 0.0

    @classmethod
    async def open(cls, path: Path, *, clock: Clock, quota: Quota | None = None) -> "Spool":
        """Open or create the spool file; raises ConfigError naming the file when it cannot be used.

        A damaged file is set aside under a new name, logged and counted: the node must go on.
        """
        quota = quota or Quota()
        lock = await asyncio.to_thread(_take_lock, path)
        try:
            file = await asyncio.to_thread(_open_file, path, quota, clock)
        except BaseException:
            os.close(lock)
            raise
        spool = cls(file, Ballast(path.with_suffix(".ballast"), quota.ballast), lock, clock=clock, quota=quota)
        spool._commits.start()
        spool._depth = dict(await spool._commits.do(file.depth))
        spool._changed.set()
        await spool._tidy()
        return spool

    async def close(self) -> None:
        """Commit what was put and close the file; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await self._commits.stop()
        self._file.close()
        os.close(self._lock)

    @property
    def epoch(self) -> str:
        """ULID of this file's count of numbers: new when it is created, or found to be an older copy of itself."""
        return self._file.epoch

    @property
    def store_epoch(self) -> str:
        """ULID of this file."""
        return self._file.epoch

    async def put(self, lane: Lane, event: Event, hops: Sequence[Hop] = ()) -> int:
        """Store one event and return its number; on disk when this returns.

        The lane is a wish: while the link is down, or the lane's queue is long, new records go to the backfill lane
        so that they never delay what comes later. Raises SpoolFullError (nothing stored), TooLargeError above 48 KiB.
        Cancelling is safe; the event may have been stored all the same.
        """
        (seq,) = await self._put([_item(self._lane(lane, 1), event, hops)])
        return seq

    async def put_many(self, items: Iterable[tuple[Lane, Event]]) -> list[int]:
        """Store several events in one transaction: all or none."""
        events = list(items)
        return await self._put([_item(self._lane(lane, len(events)), event, ()) for lane, event in events])

    async def next_origin_counter(self, count: int = 1) -> int:
        """Reserve `count` origin counters for `EventFactory` and return the first; never given twice."""
        return await self._commits.do(self._file.take_counter, count)

    def note_link(self, *, up: bool) -> None:
        """Tell whether the link is up; decides the lane of what is put from now on."""
        self._link_up = up

    async def pending(self, lane: Lane, after: int, limit: int) -> Sequence[Parcel]:
        """See Outbox."""
        return await self._commits.do(self._file.pending, lane, after, limit)

    async def settle(self, receipt: Receipt) -> Settled:
        """See Outbox."""
        stored, refused = await self._commits.do(self._file.settle, receipt, self._now())
        lane = receipt.lane
        if lane in self._depth:
            self._depth[lane] = max(0, self._depth[lane] - stored - refused)
        if refused or receipt.epoch != self.epoch:
            self._depth = dict(await self.depth())
            self._changed.set()
        await self._tidy()
        return Settled(stored, refused)

    async def settled(self, lane: Lane) -> Ranges:
        """See Outbox."""
        return await self._commits.do(self._file.settled, lane)

    async def replay(self, lane: Lane, lost: Ranges) -> Ranges:
        """See Outbox."""
        beyond = await self._commits.do(self._file.replay, lane, lost)
        self._depth = dict(await self.depth())
        self._changed.set()
        return beyond

    async def depth(self) -> Mapping[Lane, int]:
        """See Outbox."""
        return await self._commits.do(self._file.depth)

    async def wait_changed(self) -> None:
        """See Outbox."""
        await self._changed.wait()
        self._changed.clear()

    async def held(self, node: str, epoch: str, lane: Lane) -> Held:
        """See Inbox."""
        return await self._commits.do(self._file.held, node, epoch, lane)

    async def hold(self, node: str, epoch: str, lane: Lane, held: Held) -> None:
        """See Inbox."""
        await self._commits.do(self._file.hold, node, epoch, lane, held.to_json())

    async def receive(self, me: str, node: str, frame: Frame, handle: Callable[[Record], Awaitable[None]]) -> Receipt:
        """Take a frame for node `me`: `handle` each fresh record, then hold its number, return the receipt.

        A SilianError with `retry` false from `handle` becomes a refusal with its code; any other exception stops the
        frame there (no receipt, the sender sends again). A crash in between hands the record over twice: `handle`
        must bear that.
        """
        intake: Intake = judge(frame, await self.held(node, frame.epoch, frame.lane))
        for record in intake.fresh:
            try:
                await handle(record)
            except SilianError as error:
                if error.retry:
                    raise
                intake.refuse(record.seq, error.code, str(error))
        if intake.fresh or intake.voided or intake.gaps or intake.refusals:
            await self.hold(node, frame.epoch, frame.lane, intake.held)
        return intake.receipt(me, self.store_epoch, self._clock.now())

    async def quarantine(self, limit: int = 100) -> Sequence[Quarantined]:
        """Return refused records, newest first."""
        rows = await self._commits.do(self._file.quarantine, limit)
        return [
            Quarantined(number, DURABLE_LANES[lane], parse_event(event), code, detail, datetime.fromtimestamp(at, UTC))
            for number, lane, event, code, detail, at in rows
        ]

    async def resend(self, quarantine_id: int) -> int:
        """Owe a refused record again under a new number; raises NotFoundError."""
        seq = await self._commits.do(self._file.resend, quarantine_id, self._now())
        self._changed.set()
        return seq

    async def figures(self) -> SpoolFigures:
        """Return the present figures."""
        return await self._commits.do(self._figures)

    def _figures(self) -> SpoolFigures:
        file = self._file
        oldest = file.oldest()
        history, quarantined = file.counts()
        return SpoolFigures(
            depth=file.depth(),
            oldest_at=None if oldest is None else datetime.fromtimestamp(oldest, UTC),
            used_bytes=file.used_bytes(),
            quota_bytes=self.quota.total,
            history=history,
            quarantined=quarantined,
            ballast=self._ballast.there,
        )

    def _lane(self, wish: Lane, count: int) -> Lane:
        """Choose the lane: a backlog must not stand before what is new. Order per alarm is kept by origincounter."""
        if wish is Lane.BACKFILL:
            return wish
        if wish is Lane.TELEMETRY:
            raise AssertionError("telemetry is never queued; the uplink sends it itself")
        long = self._depth.get(wish, 0) + count > LONG_QUEUE
        return Lane.BACKFILL if long or (wish is Lane.LIVE and not self._link_up) else wish

    async def _put(self, items: list[Item]) -> list[int]:
        for item in items:
            if len(item.event.encode()) > EVENT_BYTES:
                raise TooLargeError(f"event over {EVENT_BYTES} bytes; shorten it")
            self._depth[item.lane] = self._depth.get(item.lane, 0) + 1
        try:
            return await self._commits.do(self._file.put, items, self._now())
        except SilianError:
            for item in items:
                self._depth[item.lane] -= 1
            raise
        finally:
            self._changed.set()

    async def _tidy(self) -> None:
        """Now and then: rebuild the ballast, count the depth anew."""
        if self._clock.monotonic() - self._tidied < TIDY_S:
            return
        self._tidied = self._clock.monotonic()
        if await self._commits.aside(self._ballast.build):
            self.counters["ballast_rebuilt"] += 1
        self._depth = dict(await self.depth())

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _item(lane: Lane, event: Event, hops: Sequence[Hop]) -> Item:
    alarm, raised, raises = None, event.type == RAISED, 0
    if event.type in (RAISED, CLEARED) and isinstance(event.data.get("alarm_key"), str):
        alarm = f"{event.source} {event.data['alarm_key']}"
        count = event.data.get("count", 1)
        raises = count if raised and isinstance(count, int) else int(raised)
    hops_json = json.dumps([hop.model_dump(mode="json") for hop in hops]) if hops else "[]"
    return Item(lane, event.model_dump_json(), hops_json, alarm, raised, raises)


def _take_lock(path: Path) -> int:
    """Make sure that no other process uses the spool; the lock ends with the process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"spool {path} cannot be used: {error}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ConfigError(
            f"spool {path} is in use by another process; stop it or choose another state folder"
        ) from None
    return lock


def _open_file(path: Path, quota: Quota, clock: Clock) -> SpoolFile:
    limits = Limits(quota.total, quota.history, quota.history_s)
    try:
        return SpoolFile(path, limits, fresh_epoch=lambda: new_ulid(clock))
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") not in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
            raise ConfigError(f"spool {path} cannot be opened: {error}") from None
    aside = path.with_name(f"{path.name}.damaged-{new_ulid(clock)}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    logger.error("spool damaged, set aside", extra={"path": str(path), "aside": str(aside)})
    file = SpoolFile(path, limits, fresh_epoch=lambda: new_ulid(clock))
    file.counters["damaged"] += 1
    return file
