"""Port `store`: one transaction for what is received, what it changes, and what is owed because of it.

Rooms write SQLAlchemy Core statements against their own tables; dialect differences stay in the adapter. A unit of
work is the only way to write. **What is owed to another node is written with what was received**: `owe` puts the
event into that node's outbox inside the same transaction. Past-tense events given to `tell` fire after the commit and
are only a wake-up: whatever must follow is a row.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import CursorResult, Executable

from protocols.envelope import Event, Hop, Lane


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
