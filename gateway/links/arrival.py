"""An event on its way into the house, and what a room does with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.ports.store import UnitOfWork
from protocols.envelope import Event, Hop, Lane


@dataclass(frozen=True, slots=True)
class Arrival:
    """One new event: never stored here before. `sender` is the node that sent it, or this gateway for its own."""

    event: Event
    sender: str
    lane: Lane
    hops: tuple[Hop, ...]
    received_at: datetime


class EventHandler(Protocol):
    """What a room does with the events of its types. Each event passes both steps once in its life."""

    def check(self, event: Event) -> None:
        """Raise a BadInputError to refuse the event: its code goes to the sender's quarantine. No I/O."""
        ...

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Write what the events change. Forwarding upward is done by the caller."""
        ...
