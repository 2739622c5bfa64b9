"""What the alarms room needs from other rooms; `gateway.app` supplies it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from gateway.events import AlarmStanding, WarningTaken
from gateway.ports.store import UnitOfWork
from protocols.envelope import Event, Hop, Lane
from protocols.tiers import CentreTable

Follower = Callable[[UnitOfWork, Sequence[AlarmStanding]], Awaitable[None]]
"""Another room that must act on every change of an alarm: called inside the unit of work that makes the change."""

WarningFollower = Callable[[UnitOfWork, WarningTaken], Awaitable[None]]
"""Another room that must act on every public warning that is taken: called inside the unit of work that takes it."""


class Outgoing(Protocol):
    """The links room: takes events of this gateway itself."""

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        """Store an own event, let its room apply it, and owe it to the tier above."""
        ...


class Area(Protocol):
    """The registry: which centres stand below this one."""

    @property
    def code(self) -> str:
        """This gateway's own centre."""
        ...

    @property
    def table(self) -> CentreTable:
        """All centres."""
        ...

    def above(self, code: str) -> str | None:
        """Return the centre above a centre within this gateway's subtree, None at its top."""
        ...

    def hop_to(self, node: str) -> str | None:
        """Return the direct child on the way to a node, or None."""
        ...

    def subtree(self, code: str) -> tuple[str, ...]:
        """Return `code` and all centres below it; empty where it lies outside this gateway's subtree."""
        ...


class Arrival(Protocol):
    """One new event, as the links room hands it over."""

    @property
    def event(self) -> Event:
        """The event, its identity unchanged since its origin."""
        ...

    @property
    def hops(self) -> Sequence[Hop]:
        """Arrivals so far, this gateway's included."""
        ...

    @property
    def received_at(self) -> datetime:
        """When it was stored here."""
        ...
