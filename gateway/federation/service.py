"""The uplink to the gateway of the tier above, where one is configured."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocols.health import LinkReason, LinkStatus

UPPER = "upper"
"""Peer name of the outbox towards the tier above: the tier's own node name may be unknown before the first contact."""


@dataclass(frozen=True, slots=True)
class UpperLink:
    """This gateway's own uplink as it sees it."""

    node: str | None
    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    rtt_ms: float | None = None
    waiting: int = 0


class Federation(Protocol):
    """This gateway as a node of the tier above. Use it with `async with`."""

    def status(self) -> UpperLink | None:
        """Return the uplink's state, or None at the top tier."""
        ...
