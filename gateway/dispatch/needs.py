"""What the dispatch room needs of others; `gateway.app` supplies it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel

from gateway.events import EventBus
from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from gateway.web.journal import Journal
from protocols.aio.clock import Clock
from protocols.command import Reply
from protocols.envelope import Event
from protocols.health import LinkReason, LinkStatus
from protocols.tiers import Centre


class KnownCamera(Protocol):
    """One camera of the subtree."""

    @property
    def centre(self) -> str:
        """Division code."""
        ...

    @property
    def name(self) -> str:
        """Name within the centre."""
        ...


class KnownLink(Protocol):
    """The link of one node of the subtree."""

    @property
    def status(self) -> LinkStatus:
        """Up, down or never seen."""
        ...

    @property
    def reason(self) -> LinkReason | None:
        """Why it is down."""
        ...


class Ways(Protocol):
    """The registry: centres, nodes and links of the subtree. Synchronous, from memory."""

    def own(self) -> Centre:
        """Return this gateway's centre."""
        ...

    def centres(self) -> Sequence[Centre]:
        """Return this centre and all below it, as in force today."""
        ...

    def cameras(self) -> Sequence[KnownCamera]:
        """Return all cameras of the subtree, ordered by centre and name."""
        ...

    def duty_node(self, centre: str) -> str | None:
        """Return the node that rings people at a centre, or None."""
        ...

    def hop_to(self, node: str) -> str | None:
        """Return the direct child on the way to a node, or None."""
        ...

    def link(self, node: str) -> KnownLink | None:
        """Return the link of a node, None where it was never heard of."""
        ...


class Commands(Protocol):
    """The links' way down."""

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        """Send and wait for the reply; `Outcome.EXPIRED` after the deadline. Raises LinkError."""
        ...

    async def tell(self, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Send without waiting; returns the command id. Raises LinkError."""
        ...

    async def owe_command(self, uow: UnitOfWork, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Owe a command together with what a unit of work writes; returns its id. Raises LinkError."""
        ...


class Granted(Protocol):
    """Where and with which token one stream may be opened."""

    @property
    def path(self) -> str:
        """Path below the gateway's own address."""
        ...

    @property
    def token(self) -> str:
        """Bearer token."""
        ...

    @property
    def expires_at(self) -> datetime:
        """End of the token."""
        ...


class Streams(Protocol):
    """The media room, as far as a call needs it."""

    def hold(self, stream: str, holder: str) -> None:
        """Want a stream until `release`."""
        ...

    def release(self, stream: str, holder: str) -> None:
        """Let go what `hold` held; an unknown holder is ignored."""
        ...

    def live(self, stream: str) -> bool:
        """Tell whether packets of the stream arrive."""
        ...

    def play_pass(self, stream: str, holder: str, life: timedelta | None = None) -> Granted:
        """Let `holder` view a stream."""
        ...

    def publish_pass(self, stream: str, holder: str, life: timedelta | None = None) -> Granted:
        """Let `holder` publish a stream."""
        ...

    def converse(self, key: str, voices: Sequence[str]) -> None:
        """Tell consoles from now on who of these speaks, until `part`."""
        ...

    def part(self, key: str) -> None:
        """End what `converse` began; an unknown key is ignored."""
        ...

    def keep_pulled(self, stream: str, whep_url: str, token: str) -> None:
        """Fetch a stream from another gateway, again and again, until `drop_pulled`."""
        ...

    def drop_pulled(self, stream: str) -> None:
        """End what `keep_pulled` began."""
        ...


class Arrived(Protocol):
    """An event that came from below."""

    @property
    def event(self) -> Event:
        """The event."""
        ...


@dataclass(frozen=True, slots=True)
class DispatchNeeds:
    """All that the room stands on."""

    store: Store
    ways: Ways
    commands: Commands
    streams: Streams
    journal: Journal
    clock: Clock
    bus: EventBus
    metrics: Metrics
