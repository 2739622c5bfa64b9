"""What the orders room needs of others; `gateway.app` supplies it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel

from gateway.metrics import Metrics
from gateway.ports.notify import Letter, LetterStanding
from gateway.ports.store import Reader, Store, UnitOfWork
from gateway.settings import OrdersSection
from protocols.aio.clock import Clock
from protocols.duty import DutyCurrent
from protocols.envelope import Event, Lane
from protocols.tiers import Centre, CentreTable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Links(Protocol):
    """The links room: own events up, commands down, both inside a unit of work."""

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        """Store an own event and owe it to the tier above."""
        ...

    async def owe_command(self, uow: UnitOfWork, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Owe a command to a node below; raises LinkError where no way leads there."""
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
    """The registry: where this centre stands, and which gateways stand below."""

    @property
    def table(self) -> CentreTable:
        """All centres."""
        ...

    def own(self) -> Centre:
        """Return this gateway's centre."""
        ...

    def centres(self) -> tuple[Centre, ...]:
        """Return this centre and all below it that are in force today."""
        ...

    def duty_node(self, centre: str) -> str | None:
        """Return a centre's gateway where one is known, else an agent of it."""
        ...


class Duty(Protocol):
    """The duty room."""

    def record(self, centre: str) -> DutyCurrent | None:
        """Return what a centre's roster says, None where it sent none."""
        ...


class Arrival(Protocol):
    """One new event, as the links room hands it over."""

    @property
    def event(self) -> Event:
        """The event."""
        ...


@dataclass(frozen=True, slots=True)
class OrderNeeds:
    """All that the room stands on."""

    store: Store
    links: Links
    letters: Letters
    timers: Timers
    area: Area
    duty: Callable[[], Duty]
    clock: Clock
    metrics: Metrics
    settings: OrdersSection
    key: "Ed25519PrivateKey"
