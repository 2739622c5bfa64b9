"""What this gateway knows of its subtree, kept in memory and in the store.

Reading is synchronous and from memory (loaded at start, changed after each commit), so rooms may ask at every step.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select

from gateway.events import CameraChanged, CatalogueChanged, EventBus, LinkChanged
from gateway.ports.store import Store, UnitOfWork
from gateway.registry.book import Book, Camera, Link, Listing, NodeState
from gateway.registry.needs import Arrival
from gateway.registry.tables import catalogues, link_states
from protocols.aio.clock import Clock
from protocols.envelope import Event, first_fault
from protocols.errors import BadSchemaError, NotAllowedError, NotFoundError
from protocols.health import CATALOGUE, CameraInfo, Catalogue, Heartbeat, LinkReason, LinkState, LinkStatus
from protocols.ids import centre_of, stream_of
from protocols.tiers import Centre, CentreTable, Tier

logger = logging.getLogger(__name__)

__all__ = ["Camera", "Link", "Registry"]


class Registry:
    """Centres, nodes, cameras and links of the subtree; `check` and `apply` make it an event handler of the links."""

    def __init__(self, table: CentreTable, code: str, store: Store, events: EventBus, clock: Clock) -> None:
        self._table = table
        self._code = code
        self._store = store
        self._events = events
        self._clock = clock
        self._book = Book(table, code)

    async def load(self) -> None:
        """Read what was known before the start."""
        async with self._store.reading() as reader:
            for row in await reader.execute(select(link_states)):
                self._book.states[row.node] = _state(row)
            for row in await reader.execute(select(catalogues)):
                self._book.listings[row.node] = _listing(row)

    # centres

    @property
    def code(self) -> str:
        """This gateway's own centre code (and node name)."""
        return self._code

    @property
    def table(self) -> CentreTable:
        """All centres that this gateway has heard of."""
        return self._table

    def tier(self, node: str) -> Tier | None:
        """Return the tier of a node's centre; None for a code that is not in the table."""
        centre = centre_of(node)
        return self._table[centre].tier if centre in self._table else None

    def own(self) -> Centre:
        """Return this gateway's centre."""
        return self._table[self._code]

    def centres(self) -> tuple[Centre, ...]:
        """Return this centre and all below it, depth first, as in force today."""
        return self._table.subtree(self._code, self._today())

    def subtree(self, code: str) -> tuple[str, ...]:
        """Return `code` and all centres below it, in force or not; empty where it lies outside this subtree."""
        if not self._table.covers(self._code, code):
            return ()
        return tuple(centre.code for centre in self._table if self._table.covers(code, centre.code))

    def above(self, code: str) -> str | None:
        """Return the centre above a centre within this subtree; None for its top and for what lies outside."""
        if code == self._code or not self._table.covers(self._code, code):
            return None
        return self._table.path(code)[-2]

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()

    # ways

    def next_hop(self, centre: str) -> str | None:
        """Return the direct child node on the way to `centre`: its gateway, an agent of it, or None."""
        return self._book.next_hop(centre)

    def hop_to(self, node: str) -> str | None:
        """Return the direct child node on the way to `node` (itself if direct), or None."""
        return self._book.hop_to(node)

    def owner(self, stream: str) -> str | None:
        """Return the node that announced the camera `320623/room`, or None."""
        return self._book.owner(stream)

    def duty_node(self, centre: str) -> str | None:
        """Return the node that rings people at `centre`: its gateway if known, else the agent with its cameras."""
        return self._book.duty_node(centre)

    def direct(self) -> tuple[str, ...]:
        """Return the nodes that link to this gateway itself."""
        return self._book.direct()

    # cameras and links

    def cameras(self) -> tuple[Camera, ...]:
        """Return all cameras of the subtree, ordered by centre and name."""
        return self._book.cameras()

    def camera(self, stream: str) -> Camera:
        """Return one camera; raises NotFoundError."""
        camera = self._book.camera(stream)
        if camera is not None:
            return camera
        raise NotFoundError(f"no node announced the camera {stream}; see GET /api/v1/cameras")

    def links(self) -> tuple[Link, ...]:
        """Return the links of all nodes of the subtree, ordered by node."""
        return self._book.links()

    def link(self, node: str) -> Link | None:
        """Return the link of one node, or None where it was never heard of."""
        return self._book.link(node)

    def clock_offset(self, node: str) -> float | None:
        """Return the clock of a direct child minus ours, in seconds, as its newest heartbeat shows; else None."""
        beat = self._book.beats.get(node)
        return None if beat is None else (beat.heartbeat.sent_at - beat.at).total_seconds()

    def heard(self, node: str, heartbeat: Heartbeat, at: datetime, rtt_ms: float | None) -> None:
        """Take a direct child's heartbeat: box health, and how it judges its own pictures."""
        for stream in self._book.heard(node, heartbeat, at, rtt_ms):
            self._events.publish(CameraChanged(stream))

    # events

    def check(self, event: Event) -> None:
        """Raise BadSchemaError where the payload does not fit, or names cameras and nodes of others."""
        if event.type == CATALOGUE:
            catalogue = _catalogue(event)
            self._check_catalogue(event.source, catalogue)
        else:
            state = _link_state(event)
            if state.gateway != event.source:
                raise BadSchemaError(f"gateway: {state.gateway} is not the sender {event.source}")
            if not self._table.covers(centre_of(event.source), centre_of(state.node)):
                raise NotAllowedError(f"{event.source} may not speak for the link of {state.node}")

    def _check_catalogue(self, source: str, catalogue: Catalogue) -> None:
        if catalogue.node != source:
            raise BadSchemaError(f"node: {catalogue.node} is not the sender {source}")
        for camera in catalogue.cameras:
            if not self._table.covers(centre_of(source), camera.centre):
                raise BadSchemaError(f"cameras: {camera.centre} does not lie below {source}")

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Write what the events change: the newest of each node by its source's origin order."""
        for arrival in arrivals:
            if arrival.event.type == CATALOGUE:
                await self._apply_catalogue(uow, arrival)
            else:
                await self._apply_link_state(uow, arrival)

    async def _apply_catalogue(self, uow: UnitOfWork, arrival: Arrival) -> None:
        event, catalogue = arrival.event, _catalogue(arrival.event)
        table = catalogues
        found = await uow.execute(select(table.c.counter).where(table.c.node == event.source))
        if (found.scalar_one_or_none() or 0) >= event.origincounter:
            return
        row = {
            "node": event.source,
            "counter": event.origincounter,
            "version": catalogue.version[:64],
            "cameras": [camera.model_dump(mode="json") for camera in catalogue.cameras],
            "sender": arrival.sender,
            "received_at": arrival.received_at,
        }
        await uow.put(table, [row])
        listing = Listing(arrival.sender, catalogue.version, catalogue.cameras)
        uow.after_commit(lambda: self._book.list(event.source, listing))
        uow.tell(CatalogueChanged(event.source))

    async def _apply_link_state(self, uow: UnitOfWork, arrival: Arrival) -> None:
        event, told = arrival.event, _link_state(arrival.event)
        table = link_states
        before = (await uow.execute(select(table).where(table.c.node == told.node))).one_or_none()
        if before is not None and _older(before, event, told):
            return
        row = {
            "node": told.node,
            "reported_by": told.gateway,
            "counter": event.origincounter,
            "status": told.status.value,
            "reason": told.reason.value if told.reason else None,
            "since": told.since,
            "version": told.version[:64],
            "hop": told.node if told.gateway == self._code else arrival.sender,
        }
        await uow.put(table, [row])
        state = NodeState(told.gateway, told.status, told.reason, told.since, told.version, str(row["hop"]))
        uow.after_commit(lambda: self._book.set_state(told.node, state))
        uow.tell(LinkChanged(told.node, told.status, told.reason))


def _older(before: Any, event: Event, told: LinkState) -> bool:
    if before.reported_by == told.gateway:
        return bool(before.counter >= event.origincounter)
    return bool(before.since > told.since)


def _state(row: Any) -> NodeState:
    reason = LinkReason(row.reason) if row.reason else None
    return NodeState(row.reported_by, LinkStatus(row.status), reason, row.since, row.version, row.hop)


def _listing(row: Any) -> Listing:
    return Listing(row.sender, row.version, tuple(CameraInfo.model_validate(camera) for camera in row.cameras))


def _catalogue(event: Event) -> Catalogue:
    try:
        catalogue = Catalogue.model_validate(event.data)
        for camera in catalogue.cameras:
            stream_of(camera.centre, camera.name)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
    return catalogue


def _link_state(event: Event) -> LinkState:
    try:
        return LinkState.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
