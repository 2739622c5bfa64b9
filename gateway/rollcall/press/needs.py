"""What reviewing and publishing need of others; `gateway.app` supplies it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from gateway.rollcall.records import RollCall
from protocols.aio.clock import Clock
from protocols.envelope import Event, Lane
from protocols.tiers import Centre, CentreTable


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
    def table(self) -> CentreTable:
        """All centres."""
        ...

    def own(self) -> Centre:
        """Return this gateway's centre."""
        ...


class Calls(Protocol):
    """The roll calls themselves."""

    async def get(self, roll_call_id: str) -> RollCall:
        """Return one roll call; raises NotFoundError."""
        ...


class Arrived(Protocol):
    """An event on its way into the house."""

    @property
    def event(self) -> Event:
        """The event."""
        ...


Arrivals = Sequence[Arrived]


@dataclass(frozen=True, slots=True)
class PressNeeds:
    """All of it. `prefix` begins a bulletin's number (文号)."""

    store: Store
    links: Links
    area: Area
    calls: Calls
    clock: Clock
    metrics: Metrics
    prefix: str = "点名通报"
