"""HTTP of the registry: own centre, centres, links."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.registry.book import Link
from gateway.registry.service import Registry
from gateway.web.auth import EVERYBODY, Caller, require
from protocols.health import BoxHealth, LinkReason, LinkStatus
from protocols.ids import is_gateway
from protocols.tiers import Centre, Tier

Anybody = Annotated[Caller, require(*EVERYBODY)]


class BrokerFacts(BaseModel):
    """Which broker carries the links; `production` False is shown to operators."""

    kind: str
    production: bool


class MediaFacts(BaseModel):
    """Which media engine forwards the pictures."""

    engine: str
    backend: str


class Facts(BaseModel):
    """What the composition root knows of this gateway."""

    version: str
    broker: BrokerFacts
    media: MediaFacts
    prometheus_url: str | None


class CentreView(BaseModel):
    """One centre."""

    code: str
    name: str
    name_en: str
    tier: Tier
    parent: str | None


class OwnCentre(CentreView, Facts):
    """This gateway's centre. `above` names the centres over it, the nation first."""

    time: datetime
    above: list[CentreView]


class Centres(BaseModel):
    """Centres of the subtree, depth first."""

    items: list[CentreView]
    next: str | None = None


class LinkView(BaseModel):
    """One link; `box` and `rtt_ms` are known for direct children only."""

    node: str
    centre: str
    tier: Tier
    kind: str
    direct: bool
    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    last_heartbeat_at: datetime | None
    rtt_ms: float | None
    version: str
    box: BoxHealth | None
    reported_by: str


class UpperView(BaseModel):
    """This gateway's own uplink; `waiting` records are owed to the tier above."""

    node: str | None
    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    rtt_ms: float | None
    waiting: int


class Links(BaseModel):
    """Links of the subtree, and the own uplink (None at the top)."""

    items: list[LinkView]
    next: str | None = None
    upper: UpperView | None = None


def view(centre: Centre) -> CentreView:
    """Return a centre in the form of the API."""
    return CentreView(
        code=centre.code, name=centre.name, name_en=centre.name_en, tier=centre.tier, parent=centre.parent
    )


def link_view(registry: Registry, link: Link) -> LinkView:
    """Return a link in the form of the API."""
    return LinkView(
        node=link.node,
        centre=link.centre,
        tier=registry.table[link.centre].tier,
        kind="gateway" if is_gateway(link.node) else "agent",
        direct=link.direct,
        status=link.status,
        reason=link.reason,
        since=link.since,
        last_heartbeat_at=link.last_heartbeat_at,
        rtt_ms=link.rtt_ms,
        version=link.version,
        box=link.box,
        reported_by=link.reported_by,
    )


def routes(
    registry: Registry,
    facts: Callable[[], Facts],
    upper: Callable[[], UpperView | None],
    now: Callable[[], datetime],
) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1", tags=["registry"])

    @api.get("/centre")
    async def own(_: Anybody) -> OwnCentre:
        """Describe this gateway."""
        own_centre = registry.own()
        above = [view(registry.table[code]) for code in registry.table.path(own_centre.code)[:-1]]
        return OwnCentre(**view(own_centre).model_dump(), **facts().model_dump(), time=now(), above=above)

    @api.get("/centres")
    async def centres(_: Anybody) -> Centres:
        """List this centre and all below it."""
        return Centres(items=[view(centre) for centre in registry.centres()])

    @api.get("/links")
    async def links(_: Anybody) -> Links:
        """List the links of all nodes of the subtree, and this gateway's own uplink."""
        return Links(items=[link_view(registry, link) for link in registry.links()], upper=upper())

    return api
