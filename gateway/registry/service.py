"""What this gateway knows of its subtree, kept in memory and in the store.

Reading is synchronous and from memory (loaded at start, changed after each commit), so rooms may ask at every step.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocols.health import BoxHealth, CameraHealth, LinkReason, LinkStatus
from protocols.tiers import Centre


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of the subtree. `owner` is the node that announced it; `picture` is known for direct children only."""

    stream: str
    centre: str
    name: str
    title: str
    kind: str
    label: str | None
    owner: str
    picture: CameraHealth | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """The link of one node to its gateway. `reported_by` is the gateway that says so (this one if `direct`)."""

    node: str
    centre: str
    direct: bool
    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    reported_by: str
    version: str = ""
    last_heartbeat_at: datetime | None = None
    rtt_ms: float | None = None
    box: BoxHealth | None = None


class Registry(Protocol):
    """Centres, nodes, cameras and links of the subtree."""

    def own(self) -> Centre:
        """Return this gateway's centre."""
        ...

    def centres(self) -> tuple[Centre, ...]:
        """Return this centre and all below it, depth first, as in force today."""
        ...

    def next_hop(self, centre: str) -> str | None:
        """Return the direct child node on the way to `centre`: its gateway, an agent of it, or None."""
        ...

    def hop_to(self, node: str) -> str | None:
        """Return the direct child node on the way to `node` (itself if direct), or None."""
        ...

    def owner(self, stream: str) -> str | None:
        """Return the node that announced the camera `320623/room`, or None."""
        ...

    def duty_node(self, centre: str) -> str | None:
        """Return the node that rings people at `centre`: its gateway if known, else the agent with its cameras."""
        ...

    def cameras(self) -> tuple[Camera, ...]:
        """Return all cameras of the subtree, ordered by centre and name."""
        ...

    def camera(self, stream: str) -> Camera:
        """Return one camera; raises NotFoundError."""
        ...

    def links(self) -> tuple[Link, ...]:
        """Return the links of all nodes of the subtree, ordered by node."""
        ...

    def link(self, node: str) -> Link | None:
        """Return the link of one node, or None where it was never heard of."""
        ...
