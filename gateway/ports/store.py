"""Port `store`: one transaction for what is received, what it changes, and what is owed because of it.

Rooms write SQLAlchemy Core statements against their own tables; dialect differences stay in the adapter. A unit of
work is the only way to write. **What is owed to another node is written with what was received**: `owe` puts the
event into that node's outbox inside the same transaction. Past-tense events given to `tell` fire after the commit and
are only a wake-up: whatever must follow is a row.

Tables: every room declares its own in `tables.py` on `METADATA`, and brings them about by migrations on an own branch,
`gateway/adapters/migrations/versions/<room>_0001.py` (`revision = "<room>_0001"`, `branch_labels = ("<room>",)`,
`down_revision = None`, the next one builds on it). Times are `UtcTime` columns. A test
compares the migrated database with `METADATA`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import BigInteger, CursorResult, Dialect, Executable, MetaData, Table, TypeDecorator
from typing_extensions import override

from protocols.envelope import Event, Hop, Lane

if TYPE_CHECKING:
    from protocols.aio.uplink import Outbox

UPPER = "upper"
"""Peer name of the outbox towards the tier above, whose node name may be unknown before the first contact."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
METADATA = MetaData()
"""All tables of the gateway; rooms add theirs."""


def microseconds(value: datetime | None) -> int | None:
    """Return a time as `UtcTime` stores it."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise AssertionError("a time without zone is a bug: take it from the clock or parse it as AwareDatetime")
    return (value - _EPOCH) // _MICROSECOND


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as microseconds since 1970 so that it sorts and compares in every dialect."""

    impl = BigInteger
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return microseconds(value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class Reader(Protocol):
    """A consistent snapshot for reading."""

    async def execute(
        self, statement: Executable, parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement and return its buffered result."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of `table` whose columns `key` (default: primary key) are among `keys`, each a tuple in their order."""

    table: Table
    keys: Collection[tuple[Any, ...]]
    key: Sequence[str] = ()


class UnitOfWork(Reader, Protocol):
    """One transaction. Leaving the context commits, an exception rolls all back, cancelling is safe."""

    async def add(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; all name the same columns. For what is written often: cheaper than `execute`.

        Like `put` it may run only before the unit's next statement or its commit, in order: an error comes there, and
        the unit cannot commit after it.
        """
        ...

    async def put(self, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()) -> None:
        """Insert rows, or replace those whose `key` (default: primary key) is there; all rows name the same columns."""
        ...

    async def find(self, *wanted: Wanted) -> list[list[Any]]:
        """Return for each wish its rows, with the columns as attributes, in no order.

        Cheaper than `execute`, and several wishes cost hardly more than one.
        """
        ...

    async def owe(
        self, peer: str, lane: Lane, event: Event, hops: Sequence[Hop] = (), *, expires_at: datetime | None = None
    ) -> None:
        """Append `event` to the outbox towards `peer` (a child's node id, or UPPER).

        The lane is a wish: while the link to UPPER is down or its lane is long, records go to the backfill lane.
        What expires is withdrawn after `expires_at` if it has not been sent.
        """
        ...

    def tell(self, happened: object) -> None:
        """Hand a past-tense event to the gateway's event bus after the commit."""
        ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction is on disk, before the events told: to bring memory up to date."""
        ...

    def mint(self, type_: str, data: dict[str, Any], *, subject: str | None = None, drill: bool = False) -> Event:
        """Make an event whose source is this gateway, with the next origin counter."""
        ...

    @property
    def now(self) -> datetime:
        """The store's clock in UTC, fixed for the transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that a peer refused; `event` is its JSON."""

    id: int
    peer: str
    lane: Lane
    event: dict[str, Any]
    code: str
    detail: str
    refused_at: datetime
    resent: bool


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the database is reached, since when, and how often it was lost."""

    up: bool
    since: datetime
    losses: int = 0


class Store(Protocol):
    """The database of one gateway. `epoch` is new whenever a database is created or found to be an older copy.

    A database that cannot be reached is a StoreAwayError of every unit and reader, and of nothing else: what a unit
    did is then rolled back, or was committed and is remembered as soon as the database is back. Nothing may be
    acknowledged for it.
    """

    @property
    def epoch(self) -> str:
        """ULID of this database."""
        ...

    def unit(self, *, long: bool = False) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work; writers queue. Leaving it waits until it is on the disk.

        Those that queue may share one transaction: they run one after the other, one that fails is taken back alone,
        and where the disk fails all of them fail. One with an `after_commit` is never followed by another before that
        action ran. `long`: its statements go through many rows; the process must not stand still meanwhile.
        """
        ...

    def reading(self) -> AbstractAsyncContextManager[Reader]:
        """Open a reader; readers do not wait for writers."""
        ...

    @property
    def health(self) -> StoreHealth:
        """Tell whether the database is reached."""
        ...

    def watch(self, tables: Iterable[Table], action: Callable[[], None]) -> None:
        """Call `action` after another replica changed one of `tables`, or may have: read again what memory holds.

        It is never called for own units of work, nor where one process alone serves from the database.
        """
        ...

    def outbox(self, peer: str) -> "Outbox":
        """Return what is owed to `peer`; the same object for the same peer."""
        ...

    def note_link(self, peer: str, *, up: bool) -> None:
        """Tell whether the link to `peer` is up; decides the lane of what is owed from now on."""
        ...

    async def quarantine(self, limit: int = 100) -> Sequence[Quarantined]:
        """Return records that peers refused, newest first."""
        ...

    async def quarantined(self) -> Mapping[str, int]:
        """Return how many records each peer refused that were not sent again."""
        ...

    def waiting(self) -> Mapping[tuple[str, Lane], int]:
        """Return the number of parcels owed per peer and lane."""
        ...

    def size(self) -> int:
        """Return the bytes that the database takes on the disk."""
        ...

    async def resend(self, quarantine_id: int) -> None:
        """Owe a refused record again under a new number; raises NotFoundError, WrongMomentError if done already."""
        ...

    async def tidy(self) -> None:
        """Withdraw what expired and drop history past its time; call it every half minute."""
        ...
