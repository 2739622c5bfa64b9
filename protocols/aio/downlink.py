"""The upper end of all links of one gateway: one connection to its own broker, every node below on it.

Receives `up/*`, answers with receipts after the commit, sends `down/*` from one outbox per child, reports presence
and heartbeats. **Frames of one node and lane are handled one after the other, nodes beside each other.**
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from protocols.aio.clock import Clock
from protocols.aio.mqtt import BrokerAddress
from protocols.aio.uplink import Outbox, Receive, UplinkStatus
from protocols.backoff import Backoff
from protocols.envelope import Event
from protocols.health import Heartbeat, Presence


@dataclass(frozen=True, slots=True)
class DownlinkHandlers:
    """What the gateway supplies.

    `receive(node, frame)` is awaited per frame; frames of the telemetry lane never reach it: heartbeats go to
    `on_heartbeat`, anything else there to `on_telemetry`. `outbox(node)` is awaited once per child, when the child is
    first seen or `serve` names it. `on_presence` gets each change of a child's retained state, the will included.
    """

    receive: Receive
    outbox: Callable[[str], Awaitable[Outbox]]
    on_presence: Callable[[str, Presence], Awaitable[None]]
    on_heartbeat: Callable[[str, Heartbeat], Awaitable[None]]
    on_telemetry: Callable[[str, Event], Awaitable[None]] | None = None
    on_status: Callable[[UplinkStatus], None] = lambda _: None


class Downlink:
    """Drive with `run()`; read `status` (of the connection to the own broker) and `counters` at any time.

    counters: connects, connect_failures, frames_received, frames_bad, frames_foreign, records_received, receipts_sent,
    receive_failures, heartbeats, telemetry_unheard, frames_sent, records_sent, records_resent, receipts,
    receipts_bad, records_refused, replayed, gaps, gap_asks, publish_refused, takeovers.
    """

    def __init__(
        self,
        *,
        node: str,
        address: BrokerAddress | Callable[[], BrokerAddress],
        handlers: DownlinkHandlers,
        store_epoch: str,
        clock: Clock,
        backoff: Backoff | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        raise AssertionError("body follows")

    @property
    def status(self) -> UplinkStatus:
        """Return the state of the connection to the own broker."""
        raise AssertionError("body follows")

    def serve(self, node: str) -> None:
        """Start sending what is owed to `node` (known from the registry); naming it again does nothing."""
        raise AssertionError("body follows")

    def takeovers(self, node: str) -> int:
        """Return how often a second session of `node` replaced a living one (duplicated identity)."""
        raise AssertionError("body follows")

    def rtt_s(self, node: str) -> float | None:
        """Return the receipt round trip of records sent down to `node`, None before the first."""
        raise AssertionError("body follows")

    async def run(self) -> None:
        """Keep the connection until cancelled or `stop`ped; network trouble never ends it."""
        raise AssertionError("body follows")

    async def stop(self) -> None:
        """End `run` after the frames in hand are committed and receipted; safe to call twice."""
        raise AssertionError("body follows")

    def network_is_back(self) -> None:
        """Hint that the broker may be back: the running pause ends and the back-off starts over."""
        raise AssertionError("body follows")
