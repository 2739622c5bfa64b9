"""This process as one of several replicas of its gateway; joined to the rest by `gateway.app`.

::

    Membership
    ├── bus, bridge       what was committed here is told there, and the other way round
    ├── replicas          leases: the branches of this replica, and whether it leads
    ├── fenced            the store as the rooms see it: closed once another replica leads in place of this one
    ├── pictures          the media engines of all replicas as one: streams are spread over those that live
    ├── door              this replica's engine as the one that leads reaches it
    └── relay             HTTP passes to the replica that leads

The replica that leads opens the rooms of which a gateway has one each (pictures, calls, roll calls, timers, uplink).
One that led and is replaced ends its process: what its rooms hold in memory is out of date. The others consume
branches of agents, carry their share of the streams at the word of the one that leads, and wait to lead.
"""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter

from gateway.dispatch.service import EndTold
from gateway.escalation.service import Escalation
from gateway.escalation.tables import chains
from gateway.events import CatalogueChanged, CommandReplied, EventBus, LinkChanged
from gateway.links.service import Links
from gateway.metrics import Metrics
from gateway.ports.bus import Bus
from gateway.ports.media import MediaEngine
from gateway.ports.media_spread import EngineDoor, Place, SpreadEngine, Spreading
from gateway.ports.store import Store
from gateway.registry.service import Registry
from gateway.registry.tables import catalogues, link_states
from gateway.replicas.api import routes
from gateway.replicas.bridge import Bridge
from gateway.replicas.fenced import FencedStore
from gateway.replicas.machine import LEAD
from gateway.replicas.service import Replicas
from gateway.settings import Settings
from gateway.state_lock import waiting_lock
from gateway.web.keys import load_or_make_key
from gateway.web.relay import ToLeader
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor
from protocols.errors import ConfigError

logger = logging.getLogger(__name__)


def make_keys(settings: Settings) -> None:
    """Make the keys that all replicas share, where they are not there; call it under `shared_start`."""
    for name in ("media.key", "node.key", "session.key"):
        load_or_make_key(settings.shared_dir / "keys" / name)


def shared_start(settings: Settings) -> Any:
    """Return a context in which no other replica makes keys and certificates; raises ConfigError."""
    folder = settings.shared_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"replica.shared_dir: {folder} cannot be used: {error.strerror}") from None
    return waiting_lock(folder / "start.lock")


class Membership:
    """One replica among the others. `url` is where its HTTP is reached, asked for at each beat."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        events: EventBus,
        clock: Clock,
        metrics: Metrics,
        *,
        version: str,
        authority: Path,
        spreading: Spreading,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._version = version
        self._authority = authority
        self._spreading = spreading
        self._links: Links
        self._registry: Registry
        self._store: Store
        self._before: dict[type[Any], Callable[[], Awaitable[None]]] = {}
        self._tasks = Supervisor("membership", clock=clock)
        self._rooms = AsyncExitStack()
        self.open = False
        """Whether this replica leads and its rooms are open."""
        self.ended = asyncio.Event()
        """Set when this process must end: another replica leads in its place, or leading failed."""
        self.bridge = Bridge(bus, events, clock, metrics, further=(EndTold,), before=self._before)
        self.pictures: SpreadEngine
        self.replicas: Replicas
        self.relay: ToLeader
        self.door: EngineDoor

    def spread(self, engine: MediaEngine) -> SpreadEngine:
        """Take the media engine of this process, and return it as the rooms may use it."""
        secret, workers = self._secret("media between replicas"), self._settings.media.processes
        self.pictures = self._spreading.engine(engine, secret=secret, trust=self.trust, workers=workers)
        live = self._metrics.live
        live("media_replica_streams", lambda: [((name,), float(n)) for name, n in self._streams().items()])
        live("media_crossings", lambda: [((), float(self.pictures.crossings))])
        live("media_streams_moved_total", lambda: [((), float(self.pictures.moved))])
        return self.pictures

    def _streams(self) -> dict[str, int]:
        return self.pictures.streams() if self.open else {}

    def fence(self, store: Store) -> Store:
        """Take the store, and return it as the rooms may use it."""
        wanted = self._settings.replica
        self._store = store
        self.replicas = Replicas(
            store,
            self._clock,
            self._metrics,
            name=wanted.name or "",
            url=lambda: wanted.url or "",
            version=self._version,
            wanted=self._nodes,
        )
        return cast(Store, FencedStore(store, self.replicas.check_lead))

    def introduce(self, links: Links, registry: Registry, escalation: Escalation, site: Any) -> Any:
        """Join with the rooms; returns the application to be served in place of `site`."""
        self._read_again = {
            "registry": ((link_states, catalogues), registry.load),
            "chain": ((chains,), escalation.read_again),
        }
        self._links = links
        self._registry = registry
        self._before.update(dict.fromkeys((LinkChanged, CatalogueChanged), registry.load))
        self._events.listen(CommandReplied, lambda event: links.replied(event.reply))
        self.replicas.on_change(links.own)
        self.relay = ToLeader(
            site,
            secret=self._secret("relay between replicas"),
            leads=lambda: self.open and self.replicas.holds(LEAD),
            leader=self._leader,
            trust=self.trust,
        )
        self.door = self._spreading.door(
            self.relay,
            self.pictures.near,
            me=self.replicas.id,
            secret=self._secret("media between replicas"),
            leads=self.replicas.leading.is_set,
        )
        return self.door

    def _nodes(self) -> frozenset[str]:
        return self._links.nodes()

    def _leader(self) -> str | None:
        leader = self.replicas.leader()
        return leader.url if leader is not None and leader.id != self.replicas.id else None

    def _places(self) -> list[Place]:
        return [Place(one.id, one.name, one.url) for one in self.replicas.living()]

    def _secret(self, use: str) -> str:
        """Return what only the replicas know, for one use: they read the same key."""
        key = (self._settings.shared_dir / "keys" / "session.key").read_bytes()
        return hashlib.sha256(use.encode() + key).hexdigest()

    def trust(self) -> ssl.SSLContext:
        """Trust the other replicas: their certificates are of this gateway's own authority."""
        context = ssl.create_default_context()
        context.load_verify_locations(self._authority)
        return context

    async def join(self, stack: AsyncExitStack, lead: Callable[[AsyncExitStack], Awaitable[None]]) -> None:
        """Take part from now on: consume branches, and call `lead` once this replica leads."""
        for part in (self._bus, self.bridge, self._links, self.replicas, self.door, self._rooms, self._tasks):
            await stack.enter_async_context(part)
        for name, (tables, again) in self._read_again.items():
            changed = asyncio.Event()
            changed.set()
            self._store.watch(tables, changed.set)
            self._tasks.start(name, partial(self._follow_rows, changed, again))
        self._tasks.start("lead", lambda: self._lead(lead), restart=False)
        self._tasks.start("replaced", self._watch_lead, restart=False)

    async def _lead(self, lead: Callable[[AsyncExitStack], Awaitable[None]]) -> None:
        await self.replicas.leading.wait()
        logger.info("this replica leads", extra={"replica": self._settings.replica.name})
        try:
            await self._registry.load()
            await self.door.shut()
            me = self._settings.replica
            self.pictures.lead(Place(self.replicas.id, me.name or "", me.url or ""), self._places)
            await lead(self._rooms)
        except BaseException:
            self.ended.set()
            raise
        self.open = True

    async def _follow_rows(self, changed: asyncio.Event, again: Callable[[], Awaitable[None]]) -> None:
        """Read rows again that another replica changed: the bus may be away for long, the database says it itself."""
        while True:
            await changed.wait()
            changed.clear()
            try:
                await again()
            except Exception:
                changed.set()
                raise

    async def _watch_lead(self) -> None:
        await self.replicas.resigned.wait()
        self.open = False
        self.ended.set()

    def routes(self) -> APIRouter:
        """Return the HTTP routes of this part."""
        return routes(self.replicas, lambda: self._bus.health, self._streams)

    def ready(self) -> dict[str, bool]:
        """Name what only replicas have, and whether it works."""
        return {"bus": self._bus.health.up, "leader": self.open or self._leader() is not None}
