"""The lower end of a link: connects to the upper tier's broker, sends up, receives down, never gives up.

The same class serves an agent (with a `Spool`) and a gateway towards the tier above (with its store). **A link is up
when the gateway above answers, not when its broker does.**
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocols.aio.clock import Clock
from protocols.aio.mqtt import BrokerAddress
from protocols.backoff import Backoff
from protocols.envelope import Lane
from protocols.health import Heartbeat, LinkReason, LinkStatus
from protocols.ranges import Ranges
from protocols.receiver import Held
from protocols.uplink import Frame, Parcel, Receipt

Receive = Callable[[str, Frame], Awaitable[Receipt]]
"""Called as (sending node, frame): store everything of it in one transaction, commit, return the receipt.

An exception means that nothing was stored: no receipt goes out and the sender sends again. See protocols.receiver.
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a receipt changed: how many records are now known to be stored, how many went to quarantine."""

    stored: int = 0
    refused: int = 0


class Outbox(Protocol):
    """What is owed to one peer. All methods are safe to cancel; changes are durable when they return."""

    @property
    def epoch(self) -> str:
        """ULID of the database that counts the numbers; new whenever it is created."""
        ...

    async def pending(self, lane: Lane, after: int, limit: int) -> Sequence[Parcel]:
        """Return at most `limit` parcels with `first` > `after` that have no receipt yet, in order."""
        ...

    async def settle(self, receipt: Receipt) -> Settled:
        """Move receipted records into the history and refused ones into the quarantine. Idempotent.

        Applies to `receipt.lane` alone, and not at all if `receipt.epoch` is not ours.
        """
        ...

    async def settled(self, lane: Lane) -> Ranges:
        """Return every number of `lane` ever receipted as stored and not replayed since."""
        ...

    async def replay(self, lane: Lane, lost: Ranges) -> Ranges:
        """Owe `lost` again from the history; return what it no longer holds.

        That part is owed as void ranges with `by` None: a gap that the receiver can name.
        """
        ...

    async def depth(self) -> Mapping[Lane, int]:
        """Return how many parcels are owed per lane."""
        ...

    async def wait_changed(self) -> None:
        """Return when something was added since the last call returned (at once if so). One waiter at a time."""
        ...


class Inbox(Protocol):
    """What was received from peers, where the receiver has no transaction of its own (the agent)."""

    @property
    def store_epoch(self) -> str:
        """ULID of the database; new whenever it is created."""
        ...

    async def held(self, node: str, epoch: str, lane: Lane) -> Held:
        """Return what is held of one sender's lane."""
        ...

    async def hold(self, node: str, epoch: str, lane: Lane, held: Held) -> None:
        """Store what is held; durable on return."""
        ...


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """State of a link as its lower end sees it. `reason` is None exactly while it is up (or was never tried)."""

    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class UplinkHandlers:
    """What the owner of an uplink supplies.

    `heartbeat(number)` is awaited each 5 s while connected; `on_status` is called at each change.
    """

    receive: Receive
    heartbeat: Callable[[int], Awaitable[Heartbeat]]
    on_status: Callable[[UplinkStatus], None] = lambda _: None


class Uplink:
    """Drive with `run()`; read `status`, `counters`, `rtt_s` at any time.

    counters: connects, connect_failures, frames_sent, records_sent, records_resent, receipts, records_stored,
    records_refused, replayed, gaps, publish_refused, frames_received, frames_bad, receive_failures, heartbeats,
    receipts_bad, takeovers.
    """

    def __init__(
        self,
        *,
        node: str,
        address: BrokerAddress | Callable[[], BrokerAddress],
        outbox: Outbox,
        handlers: UplinkHandlers,
        clock: Clock,
        version: str = "",
        backoff: Backoff | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        raise AssertionError("body follows")

    @property
    def status(self) -> UplinkStatus:
        """Return the present state."""
        raise AssertionError("body follows")

    @property
    def rtt_s(self) -> float | None:
        """Return the newest heartbeat round trip to the gateway above (not to its broker), None before the first."""
        raise AssertionError("body follows")

    @property
    def peer(self) -> str | None:
        """Return the node above, once it has answered."""
        raise AssertionError("body follows")

    async def run(self) -> None:
        """Keep the link until cancelled or `stop`ped; network trouble never ends it."""
        raise AssertionError("body follows")

    async def stop(self) -> None:
        """Say `agent_stopped` to the upper tier and end `run`; safe to call twice."""
        raise AssertionError("body follows")

    def network_is_back(self) -> None:
        """Hint that the network changed: the running pause ends and the back-off starts over."""
        raise AssertionError("body follows")
