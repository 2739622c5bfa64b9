"""The durable queue of a node: what it owes upward, what it holds from above, its epoch and its origin counter.

SQLite in its own thread (WAL, synchronous=FULL). **`put` returns after the disk, never before.** Commits are grouped:
everything that arrives while one commit runs goes into the next. At the quota repeats of one alarm are folded into
one (void ranges name the survivor); when nothing can be folded, `put` raises SpoolFullError and the sensor keeps it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from protocols.aio.clock import Clock
from protocols.aio.uplink import Settled
from protocols.envelope import Event, Hop, Lane, Record
from protocols.ranges import Ranges
from protocols.receiver import Held
from protocols.uplink import Frame, Parcel, Receipt

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
    ballast_rebuilt.
    """

    def __init__(self, path: Path, *, clock: Clock, quota: Quota) -> None:
        self.counters: Counter[str] = Counter()
        raise AssertionError("body follows")

    @classmethod
    async def open(cls, path: Path, *, clock: Clock, quota: Quota | None = None) -> "Spool":
        """Open or create the spool file; raises ConfigError naming the file when it cannot be used."""
        raise AssertionError("body follows")

    async def close(self) -> None:
        """Commit what was put and close the file; safe to call twice."""
        raise AssertionError("body follows")

    @property
    def epoch(self) -> str:
        """ULID of this file (also `store_epoch`)."""
        raise AssertionError("body follows")

    @property
    def store_epoch(self) -> str:
        """ULID of this file."""
        raise AssertionError("body follows")

    async def put(self, lane: Lane, event: Event, hops: Sequence[Hop] = ()) -> int:
        """Store one event and return its number; on disk when this returns.

        The lane is a wish: while the link is down, or the lane's queue is long, new records go to the backfill lane
        so that they never delay what comes later. Raises SpoolFullError (nothing stored), TooLargeError above 48 KiB.
        Cancelling is safe; the event may have been stored all the same.
        """
        raise AssertionError("body follows")

    async def put_many(self, items: Iterable[tuple[Lane, Event]]) -> list[int]:
        """Store several events in one transaction: all or none."""
        raise AssertionError("body follows")

    async def next_origin_counter(self, count: int = 1) -> int:
        """Reserve `count` origin counters for `EventFactory` and return the first; never given twice."""
        raise AssertionError("body follows")

    def note_link(self, *, up: bool) -> None:
        """Tell whether the link is up; decides the lane of what is put from now on."""
        raise AssertionError("body follows")

    async def pending(self, lane: Lane, after: int, limit: int) -> Sequence[Parcel]:
        """See Outbox."""
        raise AssertionError("body follows")

    async def settle(self, receipt: Receipt) -> Settled:
        """See Outbox."""
        raise AssertionError("body follows")

    async def settled(self, lane: Lane) -> Ranges:
        """See Outbox."""
        raise AssertionError("body follows")

    async def replay(self, lane: Lane, lost: Ranges) -> Ranges:
        """See Outbox."""
        raise AssertionError("body follows")

    async def depth(self) -> Mapping[Lane, int]:
        """See Outbox."""
        raise AssertionError("body follows")

    async def wait_changed(self) -> None:
        """See Outbox."""
        raise AssertionError("body follows")

    async def held(self, node: str, epoch: str, lane: Lane) -> Held:
        """See Inbox."""
        raise AssertionError("body follows")

    async def hold(self, node: str, epoch: str, lane: Lane, held: Held) -> None:
        """See Inbox."""
        raise AssertionError("body follows")

    async def receive(self, me: str, node: str, frame: Frame, handle: Callable[[Record], Awaitable[None]]) -> Receipt:
        """Take a frame for node `me`: `handle` each fresh record, then hold its number, return the receipt.

        A SilianError with `retry` false from `handle` becomes a refusal with its code; any other exception stops the
        frame there (no receipt, the sender sends again). A crash in between hands the record over twice: `handle`
        must bear that.
        """
        raise AssertionError("body follows")

    async def quarantine(self, limit: int = 100) -> Sequence[Quarantined]:
        """Return refused records, newest first."""
        raise AssertionError("body follows")

    async def resend(self, quarantine_id: int) -> int:
        """Owe a refused record again under a new number; raises NotFoundError."""
        raise AssertionError("body follows")

    async def figures(self) -> SpoolFigures:
        """Return the present figures."""
        raise AssertionError("body follows")
