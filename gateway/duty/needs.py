"""What the duty room needs of others; `gateway.app` supplies it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel

from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from gateway.web.journal import Journal
from protocols.aio.clock import Clock
from protocols.alarm import AlarmData
from protocols.envelope import Event, Lane
from protocols.tiers import Centre, CentreTable


class Outgoing(Protocol):
    """The links room: takes events of this gateway itself."""

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        """Store an own event, let its room apply it, and owe it to the tier above."""
        ...


class Reports(Protocol):
    """The alarms room."""

    async def report_within(self, uow: UnitOfWork, type_: str, data: AlarmData) -> str:
        """Raise or clear an alarm of this gateway inside a unit of work."""
        ...


class Area(Protocol):
    """The registry: the centres of the subtree."""

    @property
    def table(self) -> CentreTable:
        """All centres."""
        ...

    def own(self) -> Centre:
        """Return this gateway's centre."""
        ...

    def centres(self) -> Sequence[Centre]:
        """Return this centre and all below it, as in force today."""
        ...


class OpenItem(BaseModel):
    """Something that the next shift must know of. `red` without an owner holds a handover up."""

    kind: Literal["alarm", "roll_call", "call", "report", "order"]
    id: str
    text: str
    severity: int | None = None
    red: bool = False


class OpenItems(Protocol):
    """What lies open in the other rooms; a room that is not there gives nothing."""

    async def open_items(self) -> Sequence[OpenItem]:
        """Return all of it, the gravest first."""
        ...


class Signatures(Protocol):
    """The users room: proves that a person is who he says."""

    async def confirm(self, name: str, password: str) -> str:
        """Return the person's shown name; raises NotAuthenticatedError, LockedError. Opens no login."""
        ...


class Arrived(Protocol):
    """An event on its way into the house."""

    @property
    def event(self) -> Event:
        """The event."""
        ...


@dataclass(frozen=True, slots=True)
class DutyNeeds:
    """All that the room stands on."""

    store: Store
    outgoing: Outgoing
    alarms: Reports
    area: Area
    items: OpenItems
    signatures: Signatures
    journal: Journal
    clock: Clock
    metrics: Metrics
