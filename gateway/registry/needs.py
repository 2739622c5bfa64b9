"""What the registry needs from other rooms; `gateway.app` supplies it."""

from datetime import datetime
from typing import Protocol

from protocols.envelope import Event


class Arrival(Protocol):
    """One new event, as the links room hands it over."""

    @property
    def event(self) -> Event:
        """The event."""
        ...

    @property
    def sender(self) -> str:
        """The direct child it came through, or this gateway."""
        ...

    @property
    def received_at(self) -> datetime:
        """When it was stored here."""
        ...
