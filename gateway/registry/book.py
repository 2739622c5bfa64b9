"""The registry in memory: pure look-ups over what was told.

**What lies behind a link that is down is not known to be up**: its links are shown down with that link's reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from protocols.health import BoxHealth, CameraHealth, CameraInfo, Heartbeat, LinkReason, LinkStatus
from protocols.ids import centre_of, is_gateway, split_stream, stream_of
from protocols.sharing import Share
from protocols.tiers import CentreTable


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
    share: Share = Share.NATION


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


@dataclass(frozen=True, slots=True)
class NodeState:
    """A link as told; `hop` is the direct child on the way to the node."""

    reported_by: str
    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    version: str
    hop: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A catalogue as told; `sender` is the direct child through which it came."""

    sender: str
    version: str
    cameras: tuple[CameraInfo, ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest heartbeat of a direct child."""

    heartbeat: Heartbeat
    at: datetime
    rtt_ms: float | None


@dataclass(slots=True)
class Book:
    """What was told, by node."""

    table: CentreTable
    code: str
    states: dict[str, NodeState] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    beats: dict[str, Beat] = field(default_factory=dict)

    def list(self, node: str, listing: Listing) -> None:
        """Take a newer catalogue."""
        self.listings[node] = listing

    def set_state(self, node: str, state: NodeState) -> None:
        """Take a newer link state; what a node said while it was linked is kept as the last word."""
        self.states[node] = state

    def heard(self, node: str, heartbeat: Heartbeat, at: datetime, rtt_ms: float | None) -> Iterable[str]:
        """Take a heartbeat; returns the streams whose verdict changed."""
        before = self.beats.get(node)
        self.beats[node] = Beat(heartbeat, at, rtt_ms)
        known = before.heartbeat.cameras if before else {}
        for camera in self.listings[node].cameras if node in self.listings else ():
            new, old = heartbeat.cameras.get(camera.name), known.get(camera.name)
            if (new and new.verdict) != (old and old.verdict):
                yield stream_of(camera.centre, camera.name)

    def direct(self) -> tuple[str, ...]:
        """Return the nodes that link to this gateway itself."""
        return tuple(sorted(node for node, state in self.states.items() if state.reported_by == self.code))

    def hop_to(self, node: str) -> str | None:
        """Return the direct child on the way to `node`; an agent is the way to nobody but itself."""
        state = self.states.get(node)
        if state is not None:
            return state.hop
        listing = self.listings.get(node)
        if listing is not None:
            return listing.sender
        hop = self.next_hop(centre_of(node))
        return hop if hop is not None and is_gateway(hop) else None

    def next_hop(self, centre: str) -> str | None:
        """Return the direct child on the way to `centre`: the nearest gateway that covers it, else an agent of it."""
        direct = self.direct()
        gateways = [node for node in direct if is_gateway(node) and self.table.covers(node, centre)]
        if gateways:
            return max(gateways, key=lambda node: len(self.table.path(node)))
        agents = [node for node in direct if not is_gateway(node) and centre_of(node) == centre]
        return min(agents, key=self._preference, default=None)

    def _preference(self, node: str) -> tuple[bool, bool, str]:
        """Agents that are up come first, then those with cameras."""
        listing = self.listings.get(node)
        return (self.states[node].status is not LinkStatus.UP, listing is None or not listing.cameras, node)

    def owner(self, stream: str) -> str | None:
        """Return the node that announced `stream`."""
        centre, name = split_stream(stream)
        owners = (
            node
            for node, listing in self.listings.items()
            if any(camera.centre == centre and camera.name == name for camera in listing.cameras)
        )
        return min(owners, default=None)

    def duty_node(self, centre: str) -> str | None:
        """Return the gateway of `centre` where one is known, else its agent with cameras."""
        if centre in self.states:
            return centre
        owners = [node for node, listing in self.listings.items() if any(c.centre == centre for c in listing.cameras)]
        agents = [node for node in self.states if centre_of(node) == centre]
        return min(owners or agents, default=None)

    def cameras(self) -> tuple[Camera, ...]:
        """Return all cameras, ordered by centre and name."""
        found = [self._camera(node, camera) for node, listing in self.listings.items() for camera in listing.cameras]
        return tuple(sorted(found, key=lambda camera: camera.stream))

    def camera(self, stream: str) -> Camera | None:
        """Return one camera as its `owner` announced it, None where nobody did."""
        centre, _, name = stream.partition("/")
        found = [
            (node, camera)
            for node, listing in self.listings.items()
            for camera in listing.cameras
            if camera.centre == centre and camera.name == name
        ]
        return self._camera(*min(found, key=lambda one: one[0])) if found else None

    def _camera(self, node: str, camera: CameraInfo) -> Camera:
        beat = self.beats.get(node)
        picture = beat.heartbeat.cameras.get(camera.name) if beat else None
        stream = stream_of(camera.centre, camera.name)
        about = (stream, camera.centre, camera.name, camera.title, camera.kind, camera.label, node)
        return Camera(*about, picture, camera.share)

    def link(self, node: str) -> Link | None:
        """Return one link, as far as it can be known from here."""
        state = self.states.get(node)
        if state is None:
            return None
        beat = self.beats.get(node)
        found = Link(
            node=node,
            centre=centre_of(node),
            direct=state.reported_by == self.code,
            status=state.status,
            reason=state.reason,
            since=state.since,
            reported_by=state.reported_by,
            version=state.version,
        )
        if found.direct:
            if beat is None:
                return found
            return replace(found, last_heartbeat_at=beat.at, rtt_ms=beat.rtt_ms, box=beat.heartbeat.box)
        return self._behind(found, state)

    def _behind(self, link: Link, state: NodeState) -> Link:
        hop = self.states.get(state.hop)
        if hop is None or hop.status is LinkStatus.UP or link.status is not LinkStatus.UP:
            return link
        return replace(link, status=LinkStatus.DOWN, reason=hop.reason, since=hop.since, reported_by=self.code)

    def links(self) -> tuple[Link, ...]:
        """Return all links, ordered by node."""
        found = (self.link(node) for node in sorted(self.states))
        return tuple(link for link in found if link is not None)
