"""Keeps this replica's leases: a beat every two seconds, one unit of work each.

Use it with `async with` once what it wants is known; leaving gives all leases back, so that others go on at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import Row, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from gateway.replicas.machine import BEAT_S, BRANCH, LEAD, TTL_S, Lease, Tenure, in_force, lease_of, look
from gateway.replicas.tables import LEASES, REPLICAS
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.tasks import Supervisor
from protocols.errors import SilianError, StoreAwayError
from protocols.ids import is_gateway

logger = logging.getLogger(__name__)
FORGET = timedelta(hours=1)
"""A dead replica is shown for so long."""
TROUBLE = (SilianError, SQLAlchemyError, OSError)
"""What a database that is away raises."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of this gateway. `url` is where the others reach its HTTP."""

    id: str
    name: str
    url: str
    version: str
    since: datetime
    until: datetime
    leads: bool = False
    branches: int = 0


Listener = Callable[[frozenset[str]], Awaitable[None]]


class Replicas:
    """This replica among the others. `wanted` names the nodes whose branches are to be consumed by somebody."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        *,
        name: str,
        url: Callable[[], str],
        version: str,
        wanted: Callable[[], Iterable[str]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._name = name
        self._url = url
        self._version = version
        self._wanted = wanted
        self.id = new_ulid(clock)
        self._since = clock.now()
        self._tenure = Tenure()
        self._told: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        self._gateways: frozenset[str] = frozenset()
        self._lead_token: int | None = None
        self._seen: tuple[Replica, ...] = ()
        self._listeners: list[Listener] = []
        self._sooner = asyncio.Event()
        self.leading = asyncio.Event()
        """Set once this replica leads."""
        self.resigned = asyncio.Event()
        """Set once it has led and another leads now: what stands in its memory is out of date, the process must end."""
        self._tasks = Supervisor("replicas", clock=clock)
        metrics.live("replica_leads", lambda: [((), float(self.holds(LEAD)))])
        metrics.live("replica_branches", lambda: [((), float(len(self.branches())))])
        metrics.live("replicas_alive", lambda: [((), float(len(self.living())))])

    def on_change(self, listener: Listener) -> None:
        """Await `listener` with the nodes whose branches are ours, whenever they change."""
        self._listeners.append(listener)

    async def __aenter__(self) -> Self:
        await self.beat()
        self._tasks.start("beat", self._run)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()
        try:
            async with self._store.unit() as uow:
                await uow.execute(update(LEASES).where(LEASES.c.holder == self.id).values(until=uow.now))
                await uow.execute(delete(REPLICAS).where(REPLICAS.c.id == self.id))
        except TROUBLE as error:
            logger.warning("leases not given back", extra={"replica": self._name, "error": str(error)})

    # what others ask

    def holds(self, resource: str) -> bool:
        """Tell whether this process may act under a lease now."""
        return self._tenure.token(resource, self._clock.monotonic()) is not None

    def branches(self) -> frozenset[str]:
        """Return the nodes whose branches are ours now."""
        held = self._tenure.held(self._clock.monotonic())
        agents = frozenset(one.removeprefix(BRANCH) for one in held if one.startswith(BRANCH))
        return agents | self._gateways if LEAD in held else agents

    def mine(self, node: str) -> bool:
        """Tell whether a node's branch is ours now."""
        return self.holds(lease_of(node))

    async def lost(self, uow: UnitOfWork, nodes: Collection[str]) -> frozenset[str]:
        """Return those of `nodes` whose branch is not ours inside this transaction: nothing of theirs may be stored."""
        tokens, now = self._tenure.tokens, self._clock.monotonic()
        rows = {row.resource: _lease(row) for row in await uow.execute(select(LEASES).with_for_update(read=True))}
        gone = set()
        for node in nodes:
            resource = lease_of(node)
            token = tokens.get(resource)
            if token is None or not in_force(rows.get(resource), self.id, token):
                gone.add(node)
        if gone:
            self._metrics.count("replica_fenced_total", len(gone))
            late = not self._tenure.held(now)
            logger.warning("branch is not ours", extra={"nodes": sorted(gone)[:8], "out_of_time": late})
        return frozenset(gone)

    async def check_lead(self, uow: UnitOfWork) -> None:
        """Raise StoreAwayError inside a transaction of a process that has led, once another replica leads."""
        if self._lead_token is None:
            return
        row = (await uow.execute(select(LEASES).where(LEASES.c.resource == LEAD))).one_or_none()
        if row is None or not in_force(_lease(row), self.id, self._lead_token):
            self._metrics.count("replica_fenced_total")
            self._sooner.set()
            raise StoreAwayError("another replica leads now, this one ends itself; ask again")

    def leader(self) -> Replica | None:
        """Return the replica that leads, as seen at the last beat; None while nobody does."""
        return next((one for one in self.living() if one.leads), None)

    def living(self) -> tuple[Replica, ...]:
        """Return the replicas that live."""
        now = self._clock.now()
        return tuple(one for one in self._seen if now < one.until)

    def all(self) -> tuple[Replica, ...]:
        """Return all replicas seen within the hour, by name."""
        return self._seen

    def look_sooner(self) -> None:
        """Beat at once: there is new work, or somebody gave up a lease."""
        self._sooner.set()

    # the beat

    async def _run(self) -> None:
        while True:
            await self._clock.wait(self._sooner, BEAT_S)
            self._sooner.clear()
            try:
                await self.beat()
            except TROUBLE as error:
                # The database is away: leases stand until their time has run out, and nobody else can take them.
                logger.warning("leases not renewed", extra={"replica": self._name, "error": str(error)})
                await self._tell()

    async def beat(self) -> None:
        """Look at all leases once; raises what the store raises."""
        asked_at = self._clock.monotonic()
        async with self._store.unit() as uow:
            me = {"id": self.id, "name": self._name, "url": self._url(), "version": self._version, "since": self._since}
            await uow.put(REPLICAS, [me | {"until": uow.now + timedelta(seconds=TTL_S)}])
            await uow.execute(delete(REPLICAS).where(REPLICAS.c.until < uow.now - FORGET))
            replicas = (await uow.execute(select(REPLICAS).order_by(REPLICAS.c.name, REPLICAS.c.id))).all()
            leases = {row.resource: _lease(row) for row in await uow.execute(select(LEASES))}
            living = [row.id for row in replicas if uow.now < row.until]
            nodes = frozenset(self._wanted())
            round_ = look(leases, {LEAD, *map(lease_of, nodes)}, living, self.id, uow.now)
            await uow.put(
                LEASES,
                [
                    {"resource": one.resource, "holder": one.holder, "token": one.token, "until": one.until}
                    for one in round_.writes
                ],
            )
            leases |= {one.resource: one for one in round_.writes}
            now = uow.now
        self._gateways = frozenset(filter(is_gateway, nodes))
        self._tenure.renewed(round_.mine, asked_at)
        self._note_lead(round_.mine.get(LEAD))
        held = [one for one in leases.values() if one.stands(now)]
        self._seen = tuple(_replica(row, held) for row in replicas)
        await self._tell()

    def _note_lead(self, token: int | None) -> None:
        if token is not None:
            self.leading.set()
        elif self._lead_token is not None and not self.resigned.is_set():
            logger.error("another replica leads", extra={"replica": self._name, "remedy": "this process ends"})
            self.resigned.set()
        self._lead_token = token if token is not None else self._lead_token

    async def _tell(self) -> None:
        held, branches = self._tenure.held(self._clock.monotonic()), self.branches()
        if (held, branches) == self._told:
            return
        self._told = held, branches
        logger.info("leases", extra={"replica": self._name, "leads": LEAD in held, "branches": len(branches)})
        for listener in self._listeners:
            await listener(branches)


def _lease(row: Row[Any]) -> Lease:
    return Lease(row.resource, row.holder, row.token, row.until)


def _replica(row: Row[Any], held: Collection[Lease]) -> Replica:
    own = [lease.resource for lease in held if lease.holder == row.id]
    branches = sum(resource.startswith(BRANCH) for resource in own)
    return Replica(row.id, row.name, row.url, row.version, row.since, row.until, LEAD in own, branches)
