"""What the warning room needs of others; `gateway.app` supplies it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from gateway.metrics import Metrics
from gateway.ports.notify import Letter, LetterStanding
from gateway.ports.paper import Paper
from gateway.ports.store import Reader, Store, UnitOfWork
from gateway.settings import WarningSection
from protocols.aio.clock import Clock
from protocols.cap import CapMessage
from protocols.envelope import Event, Lane
from protocols.tiers import CentreTable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Outgoing(Protocol):
    """The links room: takes events of this gateway itself."""

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        """Store an own event, let its room apply it, and owe it to the tier above."""
        ...


class Letters(Protocol):
    """The escalation room's post: carries words to people, with receipts and retries."""

    async def write(self, uow: UnitOfWork, wanted: Sequence[Letter]) -> None:
        """Write letters, due at once."""
        ...

    async def withdraw(self, uow: UnitOfWork, topic: str, refs: Sequence[str] | None = None) -> None:
        """Cancel what waits of a topic."""
        ...

    async def of(self, reader: Reader, topic: str) -> list[LetterStanding]:
        """Return the letters of a topic."""
        ...


class Timers(Protocol):
    """The escalation room's durable timers."""

    async def set(self, uow: UnitOfWork, kind: str, key: str, due_at: datetime) -> None:
        """Set a timer, or move it."""
        ...

    async def drop(self, uow: UnitOfWork, kind: str, keys: Sequence[str]) -> None:
        """Take timers away."""
        ...


class Area(Protocol):
    """The registry: where this centre stands."""

    @property
    def code(self) -> str:
        """This gateway's own centre."""
        ...

    @property
    def table(self) -> CentreTable:
        """All centres."""
        ...


class Arrival(Protocol):
    """One new event, as the links room hands it over."""

    @property
    def event(self) -> Event:
        """The event."""
        ...


@dataclass(frozen=True, slots=True)
class WarningNeeds:
    """All that the room stands on. `parse` reads a CAP document; `base_url` is where people reach this gateway."""

    store: Store
    outgoing: Outgoing
    letters: Letters
    timers: Timers
    area: Area
    paper: Paper
    clock: Clock
    metrics: Metrics
    settings: WarningSection
    key: "Ed25519PrivateKey"
    parse: Callable[[bytes], CapMessage]
    base_url: Callable[[], str]
