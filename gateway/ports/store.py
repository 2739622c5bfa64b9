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

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import BigInteger, CursorResult, Dialect, Executable, MetaData, TypeDecorator
from typing_extensions import override

from protocols.envelope import Event, Hop, Lane

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
METADATA = MetaData()
"""All tables of the gateway; rooms add theirs."""


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as microseconds since 1970 so that it sorts and compares in every dialect."""

    impl = BigInteger
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise AssertionError("a time without zone is a bug: take it from the clock or parse it as AwareDatetime")
        return (value - _EPOCH) // _MICROSECOND

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


class UnitOfWork(Reader, Protocol):
    """One transaction. Leaving the context commits, an exception rolls all back, cancelling is safe."""

    async def owe(self, peer: str, lane: Lane, event: Event, hops: Sequence[Hop] = ()) -> None:
        """Append `event` to the outbox towards `peer` (a node id: the upper gateway or a child)."""
        ...

    def tell(self, happened: object) -> None:
        """Hand a past-tense event to the gateway's event bus after the commit."""
        ...

    def mint(self, type_: str, data: dict[str, Any], *, subject: str | None = None, drill: bool = False) -> Event:
        """Make an event whose source is this gateway, with the next origin counter."""
        ...

    @property
    def now(self) -> datetime:
        """The store's clock in UTC, fixed for the transaction."""
        ...


class Store(Protocol):
    """The database of one gateway. `epoch` is new whenever a database is created, never otherwise."""

    @property
    def epoch(self) -> str:
        """ULID of this database."""
        ...

    def unit(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work; writers queue."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Reader]:
        """Open a reader; readers do not wait for writers."""
        ...
