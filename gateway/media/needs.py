"""What the media room needs of others; `gateway.app` supplies it."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from gateway.events import EventBus
from gateway.metrics import Metrics
from gateway.ports.media import MediaEngine
from gateway.ports.store import Store
from gateway.web.media_tokens import MediaTokens
from protocols.aio.clock import Clock
from protocols.command import Reply
from protocols.health import CameraHealth, LinkReason, LinkStatus
from protocols.sharing import Share
from protocols.tiers import Tier


class KnownCamera(Protocol):
    """One camera of the subtree; `picture` is known for direct children only."""

    @property
    def stream(self) -> str:
        """Stream id, `320623/room`."""
        ...

    @property
    def centre(self) -> str:
        """Division code."""
        ...

    @property
    def name(self) -> str:
        """Name within the centre."""
        ...

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    @property
    def kind(self) -> str:
        """Kind of source."""
        ...

    @property
    def label(self) -> str | None:
        """Shown on the name plate."""
        ...

    @property
    def owner(self) -> str:
        """Node that announced it."""
        ...

    @property
    def share(self) -> Share:
        """Highest tier that may see it."""
        ...

    @property
    def picture(self) -> CameraHealth | None:
        """The owner's verdict."""
        ...


class KnownLink(Protocol):
    """The link of one node below."""

    @property
    def status(self) -> LinkStatus:
        """Up, down or never seen."""
        ...

    @property
    def reason(self) -> LinkReason | None:
        """Why it is down."""
        ...


class Ways(Protocol):
    """The registry: cameras and the ways to them. Synchronous, from memory."""

    def next_hop(self, centre: str) -> str | None:
        """Return the direct child on the way to a centre, or None."""
        ...

    def hop_to(self, node: str) -> str | None:
        """Return the direct child on the way to a node, or None."""
        ...

    def owner(self, stream: str) -> str | None:
        """Return the node that announced a camera, or None."""
        ...

    def cameras(self) -> Sequence[KnownCamera]:
        """Return all cameras of the subtree."""
        ...

    def camera(self, stream: str) -> KnownCamera:
        """Return one camera; raises NotFoundError."""
        ...

    def tier(self, node: str) -> Tier | None:
        """Return the tier of a node's centre, None where the centre is unknown."""
        ...

    def link(self, node: str) -> KnownLink | None:
        """Return the link of a node, None where it was never heard of."""
        ...


class Commands(Protocol):
    """The links' way down."""

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        """Send and wait for the reply; `Outcome.EXPIRED` after the deadline. Raises LinkError."""
        ...


@dataclass(frozen=True, slots=True)
class MediaNeeds:
    """All that the room stands on."""

    engine: MediaEngine
    ways: Ways
    commands: Commands
    tokens: MediaTokens
    clock: Clock
    bus: EventBus
    metrics: Metrics
    store: Store
    trust: Callable[[], ssl.SSLContext | None] = lambda: None
    """Trust for requests to the tier above; None where it is reached without TLS."""
