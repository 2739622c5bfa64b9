"""Publishing by WHIP, only while the gateway asks.

**A publication never ends before its lease, and never outlives it.** Whatever breaks in between is tried again with a
growing delay; success means that the gateway reports received packets, not that something is "connected". A new session
is made before the old one is closed: until it is connected, whatever the old one still carries is shown.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_agent.media.session import Session, Source
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor
from protocols.backoff import Backoff
from protocols.command import MediaPublish
from protocols.errors import BadMediaError, ExpiredError, LinkError, NotFoundError
from protocols.ids import split_stream

if TYPE_CHECKING:
    import ssl

__all__ = ["Publication", "Publisher", "Source"]

logger = logging.getLogger(__name__)
RETRY = Backoff(base=0.25, cap=2.0, floor=0.05)
"""Short, because somebody waits for the picture; bounded by the lease in number."""
LOOK_S = 0.5
YOUNG_S = 5.0
"""A session that breaks sooner counts as a failed attempt."""
OLD_ATTEMPT_S = 1.0
"""An attempt that has taken so long is begun anew when the network comes back: its packets may be lost."""


class Publication:
    """One stream's lease. `renew` may be called at any time; `run` ends with the lease.

    | now | event | then |
    |---|---|---|
    | no session | lease | one is made |
    | session well | order with other layers | sent at once, same session |
    | session well | `fresh`, other address, network moved | a second one is made, then the first is closed |
    | session silent or failed | - | as above, again and again with a growing delay, until one of the two is heard |
    """

    def __init__(
        self,
        order: MediaPublish,
        source: Source,
        clock: Clock,
        counters: Counter[str],
        verify: "ssl.SSLContext | None" = None,
    ) -> None:
        self.counters = counters
        self.session: Session | None = None
        """The session that is connected, if there is one."""
        self.failed = 0
        """Attempts in a row that came to nothing."""
        self._source = source
        self._clock = clock
        self._verify = verify
        self._order = order
        self._until = 0.0
        self._changed = asyncio.Event()
        self._why: str | None = "new"
        """Why a session must be made: new, again, moved, silent, failed; None while the present one is well."""
        self._wishes = 0
        self._attempt = 0
        self._hurry = False
        self._began = 0.0
        self._limit: asyncio.Timeout | None = None
        self.renew(order)

    def renew(self, order: MediaPublish) -> None:
        """Take a newer order: address, token, lease, layers; with `fresh` a running session is made anew."""
        elsewhere = order.whip_url != self._order.whip_url
        self._order = order
        self._until = self._clock.monotonic() + (order.until - self._clock.now()).total_seconds()
        if order.fresh or elsewhere:
            self._replace("again")
        if self.session is not None:
            self.session.select(order.layers)
        self._changed.set()

    def hurry(self) -> None:
        """End a pause between two attempts, and an attempt that began on a dead network."""
        self._attempt, self._hurry = 0, True
        if self._limit is not None and time.monotonic() - self._began > OLD_ATTEMPT_S:
            self._limit.reschedule(asyncio.get_running_loop().time())
        self._changed.set()

    def moved(self) -> None:
        """Make a new session at once, because this machine's addresses or its way out changed."""
        self._replace("moved")
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())
        self._changed.set()

    def _replace(self, why: str) -> None:
        self._why, self._attempt, self._hurry = why, 0, True
        self._wishes += 1

    @property
    def live(self) -> bool:
        """Whether packets flow now, as far as is known."""
        return self.session is not None and self._why not in ("silent", "failed")

    @property
    def dark(self) -> MediaPublish | None:
        """Return the order while somebody waits for it and all ways have failed: no session, and a new one neither."""
        wanted = self._order.layers is None or bool(self._order.layers)
        return self._order if self.failed and wanted and not self.live and self.left_s > 0 else None

    @property
    def left_s(self) -> float:
        """Return seconds until the lease ends."""
        return self._until - self._clock.monotonic()

    async def run(self) -> None:
        """Publish until the lease ends. Cancelling is safe and ends the session."""
        try:
            while self.left_s > 0:
                if self._why is not None:
                    await self._make()
                else:
                    await self._wait(LOOK_S)
                    await self._judge()
            self.counters["ended_lease"] += 1
            logger.info("publishing ended", extra={"stream": self._order.stream, "reason": "lease"})
        finally:
            self._source.steer({})
            if self.session is not None:
                session, self.session = self.session, None
                await session.close()

    async def _wait(self, seconds: float) -> None:
        if not self._changed.is_set():
            await self._clock.wait(self._changed, min(seconds, max(0.01, self.left_s)))
        self._changed.clear()

    def _look(self) -> None:
        """Judge the present session; one that is heard again needs no other."""
        if self.session is None:
            return
        found = self.session.look(time.monotonic())
        if found is not None and self._why is None:
            logger.warning("publishing broken", extra={"stream": self._order.stream, "reason": found})
            self._why = found
        elif found is None and self._why == "silent":
            logger.info("heard again", extra={"stream": self._order.stream})
            self.counters["heard_again"] += 1
            self._why = None
        if found is None and self.session.heard and time.monotonic() - self._began > YOUNG_S:
            self._attempt = 0

    async def _judge(self) -> None:
        """Look, and pause where a session broke soon after it was made: the next one may break as well."""
        self._look()
        if self._why in ("silent", "failed") and time.monotonic() - self._began < YOUNG_S:
            await self._pause()

    async def _make(self) -> None:
        """Make a session in place of the present one; where that fails, pause as long as is due."""
        why, wishes, order, self._hurry = self._why, self._wishes, self._order, False
        fresh = Session(order, self._source, self._verify, start=self.session.targets if self.session else {})
        self._began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self.left_s)) as self._limit:
                await fresh.open()
        except (LinkError, BadMediaError, TimeoutError) as error:
            reason = "failed" if isinstance(error, TimeoutError) or error.retry else "refused"
            self.counters["ended_" + reason] += 1
            logger.warning("publishing failed", extra={"stream": order.stream, "reason": reason, "detail": str(error)})
            await fresh.close()
            self.failed += 1
            await self._pause()
            return
        except BaseException:
            await fresh.close()
            raise
        finally:
            self._limit = None
        await self._take(fresh, why, asked_again=self._wishes != wishes)

    async def _take(self, fresh: Session, why: str | None, *, asked_again: bool) -> None:
        former, self.session, self.failed = self.session, fresh, 0
        self.counters["sessions"] += 1
        if not asked_again:
            self._why = None
        fresh.select(self._order.layers)
        fields = {"stream": self._order.stream, "url": self._order.whip_url, "why": why, "trace": self._order.trace}
        logger.info("publishing", extra=fields)
        if former is not None:
            self.counters[f"ended_{why}"] += 1
            await former.close()

    async def _pause(self) -> None:
        """Wait before the next attempt, looking after a session that may come back meanwhile."""
        delay = RETRY.delay(self._attempt, random.random())  # noqa: S311 - jitter, no secret
        self._attempt += 1
        end = self._clock.monotonic() + delay
        while not self._hurry and self._why is not None and self.left_s > 0:
            left = end - self._clock.monotonic()
            if left <= 0:
                return
            await self._wait(min(LOOK_S, left))
            self._look()


class Publisher:
    """All publications of one agent."""

    def __init__(
        self, sources: dict[str, Source], clock: Clock, tasks: Supervisor, verify: "ssl.SSLContext | None" = None
    ) -> None:
        self.counters: Counter[str] = Counter()
        """Over all streams: `sessions` begun, `ended_<reason>`, `heard_again`."""
        self._sources = sources
        self._clock = clock
        self._tasks = tasks
        self.verify = verify
        """TLS context for WHIP over https; set once the agent is enrolled."""
        self._running: dict[str, Publication] = {}

    def publish(self, order: MediaPublish) -> None:
        """Start or renew a stream. Raises NotFoundError for a foreign one, ExpiredError for a lease of the past."""
        if order.stream not in self._sources:
            raise NotFoundError(f"no camera {order.stream} here; it has {', '.join(self._sources) or 'none'}")
        if order.until <= self._clock.now():
            raise ExpiredError(f"the lease of {order.stream} ended at {order.until.isoformat()}: compare the clocks")
        running = self._running.get(order.stream)
        if running is not None and self._tasks.running(self._task(order.stream)):
            running.renew(order)
            return
        publication = Publication(order, self._sources[order.stream], self._clock, self.counters, self.verify)
        self._running[order.stream] = publication
        self._tasks.start(self._task(order.stream), publication.run, restart=False)

    async def unpublish(self, stream: str) -> None:
        """Stop a stream; one that is not published is fine."""
        self._running.pop(stream, None)
        await self._tasks.cancel(self._task(stream))

    @staticmethod
    def _task(stream: str) -> str:
        return f"publish {stream}"

    def network_is_back(self) -> None:
        """Try again at once what waits for its next attempt."""
        for publication in self._running.values():
            publication.hurry()

    def network_moved(self) -> None:
        """Make new sessions at once: the addresses that the present ones stand on may be gone."""
        for publication in self._running.values():
            publication.moved()

    def names(self) -> tuple[str, ...]:
        """Return the names of the cameras whose packets flow now."""
        live = (stream for stream, publication in self._running.items() if publication.live)
        return tuple(sorted(split_stream(stream)[1] for stream in live))

    def dark(self) -> dict[str, MediaPublish]:
        """Return the orders, by stream, whose media path is down in every way that there is."""
        found = ((stream, one.dark) for stream, one in self._running.items() if self._tasks.running(self._task(stream)))
        return {stream: order for stream, order in found if order is not None}

    def sessions(self) -> Iterator[tuple[str, Session]]:
        """Yield camera name and session of each publication that is connected."""
        for stream, publication in self._running.items():
            if publication.session is not None:
                yield split_stream(stream)[1], publication.session

    def thin(self, camera: str) -> bool:
        """Tell whether the line to the gateway carries less than this camera sends."""
        return any(session.thin for name, session in self.sessions() if name == camera)
