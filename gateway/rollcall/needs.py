"""What the roll-call room needs of others; `gateway.app` supplies it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from gateway.metrics import Metrics
from gateway.ports.blob import BlobStore
from gateway.ports.media import Still
from gateway.ports.store import Reader, Store, UnitOfWork
from gateway.rollcall.gathering import NO_GATHERING
from gateway.rollcall.rules.rainfall import Signal
from protocols.aio.clock import Clock
from protocols.command import Reply, RollCallAnswer
from protocols.envelope import Event, Lane
from protocols.health import BoxHealth, LinkReason, LinkStatus
from protocols.rollcall import Cause, Check
from protocols.tiers import Centre, Tier

if TYPE_CHECKING:
    from gateway.rollcall.records import PointRecord, RollCallRecord


class KnownCamera(Protocol):
    """One camera of the subtree."""

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
    def owner(self) -> str:
        """Node that announced it."""
        ...


class KnownLink(Protocol):
    """The link of one node of the subtree."""

    @property
    def node(self) -> str:
        """Node at the lower end."""
        ...

    @property
    def centre(self) -> str:
        """Division code."""
        ...

    @property
    def status(self) -> LinkStatus:
        """Up, down or never seen."""
        ...

    @property
    def reason(self) -> LinkReason | None:
        """Why it is down."""
        ...

    @property
    def last_heartbeat_at(self) -> datetime | None:
        """When it was last heard, None where another gateway hears it."""
        ...

    @property
    def box(self) -> BoxHealth | None:
        """How its machine was then."""
        ...


class Ways(Protocol):
    """The registry: centres, cameras and links of the subtree. Synchronous, from memory."""

    def own(self) -> Centre:
        """Return this gateway's centre."""
        ...

    def centres(self) -> Sequence[Centre]:
        """Return this centre and all below it, as in force today."""
        ...

    def cameras(self) -> Sequence[KnownCamera]:
        """Return all cameras of the subtree, ordered by centre and name."""
        ...

    def links(self) -> Sequence[KnownLink]:
        """Return the links of all nodes of the subtree."""
        ...

    def link(self, node: str) -> KnownLink | None:
        """Return the link of a node, None where it was never heard of."""
        ...

    def next_hop(self, centre: str) -> str | None:
        """Return the direct child node on the way to a centre, or None."""
        ...

    def tier(self, node: str) -> Tier | None:
        """Return the tier of a node's or centre's code, None where it is in no table."""
        ...

    def clock_offset(self, node: str) -> float | None:
        """Return the clock of a direct child minus ours in seconds, None where it is not known."""
        ...


class Links(Protocol):
    """The links: commands down, records up."""

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        """Send and wait for the reply; `Outcome.EXPIRED` after the deadline. Raises LinkError."""
        ...

    async def owe_command(self, uow: UnitOfWork, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Owe a command together with what a unit of work writes; returns its id. Raises LinkError."""
        ...

    async def emit(self, uow: UnitOfWork, event: Event, lane: Lane) -> None:
        """Store an event of this gateway and owe it to the tier above."""
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


class Pictures(Protocol):
    """The media room, as far as a roll call needs it."""

    def hold(self, stream: str, holder: str) -> None:
        """Want a stream until `release`."""
        ...

    def release(self, stream: str, holder: str) -> None:
        """Let go what `hold` held; an unknown holder is ignored."""
        ...

    async def still(self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0) -> Still:
        """Return the newest decoded picture; raises NotFoundError where none comes in time."""
        ...

    def why_not(self, stream: str) -> str | None:
        """Name the trouble that keeps a wanted stream away, None while there is none."""
        ...

    def play_pass(self, stream: str, holder: str) -> Granted:
        """Let `holder` view a stream."""
        ...


class Gathering(Protocol):
    """Whoever gathers the evidence of a point (`gateway.rollcall.gathering` has the one that gathers nothing).

    All methods may raise SilianError: that is logged, counted and never changes a verdict. The calls for one point come
    one after the other in this order, the middle three possibly never; after a restart `begin` comes again for a point
    that had no end, and `end` comes twice where a challenge followed it. A round that is stopped ends by `broken_off`.
    `point` is the core's record: only read it.
    """

    async def begin(self, point: "PointRecord", *, drill: bool) -> None:
        """Begin a round of the point: it is rung for the first time, or again in the make-up."""
        ...

    async def answered(self, point: "PointRecord", answer: RollCallAnswer) -> None:
        """Take the county's answer; its stream is held from now on until `end` has returned."""
        ...

    async def seen(self, point: "PointRecord", still: Still) -> None:
        """Take a fresh picture that the verdict rests on, the first one before it is `point.still`."""
        ...

    async def read_back(self, point: "PointRecord", number: str) -> bool:
        """Wait until the challenge number is read in the picture of the far side; False where it cannot be.

        Cancelled when time is up or a person has confirmed the number.
        """
        ...

    async def end(self, point: "PointRecord") -> Sequence[Check]:
        """End the round and return all checks of it; the state in `point` is what was seen so far.

        A picture check that is `bad` takes the verdict *present* away, an `issue` makes it passed_with_issues; no
        check makes a missing point present.
        """
        ...

    async def broken_off(self, point: "PointRecord") -> None:
        """End a round that has no end of its own: a higher tier took the point, a person decided, the call ended.

        Keep what was gathered, and look no more; a point without a round that runs is fine.
        """
        ...


class Causes(Protocol):
    """Whoever knows why a point is missing (责任归因)."""

    async def cause(self, point: "PointRecord", call: "RollCallRecord") -> Cause | None:
        """Return the cause of a missing point's final state as it is known now; None where it has none."""
        ...


class Rosters(Protocol):
    """Whoever knows the duty rosters of the counties."""

    async def frozen(self, centres: Sequence[str], at: datetime) -> Mapping[str, dict[str, Any]]:
        """Return the roster of each centre as it stands at `at`, with its version and hash: `PointRecord.roster`."""
        ...

    def compare(self, point: "PointRecord", at: datetime) -> Sequence[Check]:
        """Return the checks that follow from the frozen roster and what the county answered."""
        ...


class Standing(Signal, Protocol):
    """An alarm or a warning that stands."""

    @property
    def drill(self) -> bool:
        """Whether it is an exercise."""
        ...


class Signals(Protocol):
    """The alarms room."""

    async def active(self, uow: Reader) -> Sequence[Standing]:
        """Return all alarms and warnings whose condition stands."""
        ...


@dataclass(frozen=True, slots=True)
class RollCallNeeds:
    """All that the room stands on."""

    store: Store
    blobs: BlobStore
    ways: Ways
    commands: Links
    pictures: Pictures
    clock: Clock
    metrics: Metrics
    gathering: Gathering = NO_GATHERING
    causes: Causes | None = None
    rosters: Rosters | None = None
    signals: Signals | None = None
    base_url: Callable[[], str] | None = None
    """Where nodes below reach this gateway; None: the media path is not tried in both directions."""
