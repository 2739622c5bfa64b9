"""The uplink to the gateway of the tier above, where one is configured."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.events import EventBus, LinkChanged
from gateway.federation.box import box_health
from gateway.federation.needs import Below
from gateway.ports.store import UPPER, Store
from protocols.aio.clock import Clock
from protocols.aio.enrol import Identity, ensure_identity, renew_if_due
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.aio.tasks import Supervisor
from protocols.aio.uplink import Uplink, UplinkHandlers, UplinkStatus
from protocols.backoff import Backoff
from protocols.errors import LinkError, SilianError
from protocols.health import Heartbeat, LinkReason, LinkStatus

logger = logging.getLogger(__name__)
RENEW_EVERY_S = 3600.0
ENROL_BACKOFF = Backoff(base=0.5, cap=10.0)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the tier above is, and how this gateway is let in. `token` is read anew at each attempt."""

    url: str
    identity_dir: Path
    token: Callable[[], str | None]
    version: str
    broker: str | None = None
    """`host:port` where it is not the one told at enrolment."""


@dataclass(frozen=True, slots=True)
class UpperLink:
    """This gateway's own uplink as it sees it; `waiting` records are owed to the tier above."""

    node: str | None
    status: LinkStatus
    reason: LinkReason | None
    since: datetime
    rtt_ms: float | None = None
    waiting: int = 0


class Federation:
    """This gateway as a node of the tier above. Use it with `async with`."""

    def __init__(
        self, upstream: Upstream, *, node: str, store: Store, clock: Clock, events: EventBus, below: Below
    ) -> None:
        self._upstream = upstream
        self._node = node
        self._store = store
        self._clock = clock
        self._events = events
        self._below = below
        self._waiting = 0
        self._uplink: Uplink | None = None
        self._status = UplinkStatus(LinkStatus.NEVER, None, clock.now())
        self._tasks = Supervisor("federation", clock=clock)

    async def __aenter__(self) -> Self:
        self._store.note_link(UPPER, up=False)
        self._tasks.start("uplink", self._run)
        self._tasks.start("renewal", self._renew)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._uplink is not None:
            await self._uplink.stop()
        await self._tasks.stop()

    def status(self) -> UpperLink:
        """Return the uplink's state."""
        rtt = self._uplink.rtt_s if self._uplink is not None else None
        return UpperLink(
            node=self._uplink.peer if self._uplink is not None else None,
            status=self._status.status,
            reason=self._status.reason,
            since=self._status.since,
            rtt_ms=None if rtt is None else rtt * 1000,
            waiting=self._waiting,
        )

    async def _run(self) -> None:
        identity = await self._enrolled()
        tls = TlsFiles(identity.authority, identity.certificate, identity.key)
        host, port = identity.broker_host, identity.broker_port
        if self._upstream.broker is not None:
            host, _, text = self._upstream.broker.rpartition(":")
            port = int(text)
        address = BrokerAddress(host, port, tls)
        handlers = UplinkHandlers(self._below.take_down, self._heartbeat, self._changed)
        self._uplink = Uplink(
            node=self._node,
            address=address,
            outbox=self._store.outbox(UPPER),
            handlers=handlers,
            clock=self._clock,
            version=self._upstream.version,
        )
        await self._uplink.run()

    async def _enrolled(self) -> Identity:
        """Enrol where there is no identity yet; never gives up, because the tier above may start later."""
        attempt = 0
        while True:
            try:
                return await ensure_identity(self._upstream.identity_dir, self._upstream.url, self._upstream.token())
            except SilianError as error:
                reason = LinkReason.TIMEOUT if isinstance(error, LinkError) and error.retry else LinkReason.AUTH
                if self._status.reason is not reason:
                    logger.warning("not enrolled", extra={"node": self._node, "reason": reason, "detail": str(error)})
                    self._changed(UplinkStatus(LinkStatus.DOWN, reason, self._clock.now(), str(error)))
            pause = ENROL_BACKOFF.delay(attempt, random.random())  # noqa: S311 - jitter, no secret
            await self._clock.sleep(pause)
            attempt += 1

    async def _heartbeat(self, number: int) -> Heartbeat:
        depth = await self._store.outbox(UPPER).depth()
        self._waiting = sum(depth.values())
        box = box_health(self._upstream.identity_dir.parent, self._waiting)
        return Heartbeat(node=self._node, sent_at=self._clock.now(), number=number, box=box)

    def _changed(self, status: UplinkStatus) -> None:
        self._status = status
        self._store.note_link(UPPER, up=status.status is LinkStatus.UP)
        self._events.publish(LinkChanged(UPPER, status.status, status.reason))

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(RENEW_EVERY_S)
            try:
                if await renew_if_due(self._upstream.identity_dir, self._clock.now()):
                    logger.info("certificate renewed", extra={"node": self._node})
            except SilianError as error:
                logger.warning("renewal failed", extra={"node": self._node, "error": str(error)})
