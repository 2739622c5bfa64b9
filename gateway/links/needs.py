"""What the links room needs from other rooms; `gateway.app` supplies it."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from gateway.ports.store import UnitOfWork
from protocols.health import Heartbeat, LinkReason, LinkStatus
from protocols.tiers import CentreTable


class KnownLink(Protocol):
    """A link as the registry remembers it."""

    @property
    def node(self) -> str:
        """The node at its lower end."""
        ...

    @property
    def direct(self) -> bool:
        """Whether it ends at this gateway."""
        ...

    @property
    def status(self) -> LinkStatus:
        """Its last known state."""
        ...

    @property
    def reason(self) -> LinkReason | None:
        """Why it is down."""
        ...


class Directory(Protocol):
    """The registry: centres, ways, and what was known of the links before a restart."""

    @property
    def table(self) -> CentreTable:
        """All centres."""
        ...

    def hop_to(self, node: str) -> str | None:
        """Return the direct child on the way to `node`, or None."""
        ...

    def links(self) -> tuple[KnownLink, ...]:
        """Return all known links of the subtree."""
        ...

    def heard(self, node: str, heartbeat: Heartbeat, at: datetime, rtt_ms: float | None) -> None:
        """Take a direct child's heartbeat."""
        ...


class Branches(Protocol):
    """The branches of this replica among those of its gateway; None in place of it: this process has all."""

    @property
    def id(self) -> str:
        """What tells this replica from the others."""
        ...

    async def lost(self, uow: UnitOfWork, nodes: Collection[str]) -> frozenset[str]:
        """Return those of `nodes` whose branch another replica consumes, as this very transaction sees it."""
        ...
