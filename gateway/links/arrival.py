"""An event on its way into the house, what a room does with it, and how the store says that it cannot be stored now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.exc import InterfaceError, OperationalError

from gateway.ports.store import UnitOfWork
from protocols.envelope import Event, Hop, Lane
from protocols.errors import StoreAwayError

STORE_FAILS = (OperationalError, InterfaceError, StoreAwayError)
"""A database that is away, full or locked: the same work may succeed later, and nothing of it happened."""


def told(error: BaseException) -> str:
    """Return what such an error says, without the statement that it befell."""
    return str(error.orig) if isinstance(error, OperationalError | InterfaceError) else str(error)


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
