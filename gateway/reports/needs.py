"""What the reports room needs of others; `gateway.app` supplies it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel

from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from protocols.aio.clock import Clock
from protocols.envelope import Event, Lane
from protocols.tiers import CentreTable


class Links(Protocol):
    """The links room: own events up, commands down, both inside a unit of work."""

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        """Store an own event and owe it to the tier above."""
        ...

    async def owe_command(self, uow: UnitOfWork, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Owe a command to a node below; raises LinkError where no way leads there."""
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


class AlarmBook(Protocol):
    """The alarms, for filling in a first report."""

    async def get(self, alarm_id: str) -> dict[str, Any]:
        """Return one alarm in the form of the API; raises NotFoundError."""
        ...


class Arrival(Protocol):
    """One new event, as the links room hands it over."""

    @property
    def event(self) -> Event:
        """The event, its identity unchanged since its origin."""
        ...

    @property
    def received_at(self) -> datetime:
        """When it was stored here."""
        ...


Arrivals = Sequence[Arrival]


@dataclass(frozen=True, slots=True)
class ReportNeeds:
    """All of it."""

    store: Store
    links: Links
    area: Area
    alarms: AlarmBook
    clock: Clock
    metrics: Metrics
