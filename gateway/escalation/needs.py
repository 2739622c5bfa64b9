"""What the escalation room needs of others; `gateway.app` supplies it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.events import AlarmStanding
from gateway.metrics import Metrics
from gateway.ports.notify import Channel, Notifier
from gateway.ports.store import Store, UnitOfWork
from protocols.aio.clock import Clock
from protocols.tiers import Centre, CentreTable


class AlarmsRoom(Protocol):
    """The alarms, whose state this room never writes itself."""

    async def standing(self, uow: UnitOfWork, alarm_id: str) -> AlarmStanding:
        """Return how an alarm stands; raises NotFoundError."""
        ...

    async def standings(self, uow: UnitOfWork, alarm_ids: Sequence[str]) -> Sequence[AlarmStanding]:
        """Return how alarms stand, some hundreds at most; ids that are not known are left out."""
        ...

    async def active(self, uow: UnitOfWork) -> list[AlarmStanding]:
        """Return all alarms whose condition stands."""
        ...

    async def hand_up(self, uow: UnitOfWork, alarm_id: str, *, to: str, by: str, why: str) -> None:
        """Tell the tier above that it must see to an alarm."""
        ...

    async def reopen(self, uow: UnitOfWork, alarm_id: str) -> None:
        """Void the acknowledgements of an alarm at all tiers on its way."""
        ...


class Area(Protocol):
    """The registry: where this centre stands and which way leads to a node."""

    @property
    def table(self) -> CentreTable:
        """All centres."""
        ...

    def own(self) -> Centre:
        """Return this gateway's centre."""
        ...

    def hop_to(self, node: str) -> str | None:
        """Return the direct child on the way to a node, or None."""
        ...


@dataclass(frozen=True, slots=True)
class EscalationNeeds:
    """All that the room stands on. `has_upper`: a gateway above is configured; `sole`: nobody else writes the timers.

    Replicas on several machines have several clocks: a step of one of them says nothing about the others' timers.
    """

    store: Store
    alarms: AlarmsRoom
    area: Area
    channels: Mapping[Channel, Notifier]
    clock: Clock
    metrics: Metrics
    has_upper: bool
    sole: bool = True
