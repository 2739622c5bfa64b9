"""Publishing by WHIP, only while the gateway asks.

**A publication never ends before its lease, and never outlives it.** Whatever breaks in between is tried again with a
growing delay; success means that the gateway reports received packets, not that something is "connected".
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.cameras.feed import Feed
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor
from protocols.aio.whip import WhipClient
from protocols.backoff import Backoff
from protocols.command import MediaPublish
from protocols.errors import BadMediaError, ExpiredError, LinkError, NotFoundError
from protocols.ids import split_stream

if TYPE_CHECKING:
    import ssl

    from edge_agent.media.aiortc_private import SenderWatch
    from edge_agent.media.tracks import FeedTrack

logger = logging.getLogger(__name__)
RETRY = Backoff(base=0.25, cap=2.0, floor=0.05)
"""Short, because somebody waits for the picture; bounded by the lease in number."""
SILENT_S = 4.0
"""A gateway that reported packets and then says nothing for so long is gone."""
NEVER_HEARD_S = 15.0
"""A server that never reports at all is left to ICE consent; ours reports each second."""

UNREPORTED = 20
"""So many packets without any report are silence; fewer may just be a camera that has stopped."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one camera offers: pictures, and sound where it has some."""

    video: Feed
    audio: Feed | None = None


class Publication:
    """One stream's lease. `renew` may be called at any time; `run` ends with the lease."""

    def __init__(
        self,
        order: MediaPublish,
        source: Source,
        clock: Clock,
        counters: Counter[str],
        verify: "ssl.SSLContext | None" = None,
    ) -> None:
        self.counters = counters
        self.live = False
        self._source = source
        self._clock = clock
        self._verify = verify
        self._order = order
        self._until = 0.0
        self._changed = asyncio.Event()
        self._again = False
        self.renew(order)

    def renew(self, order: MediaPublish) -> None:
        """Take a newer order: address, token, lease; with `fresh` a running session is made anew."""
        moved = order.whip_url != self._order.whip_url
        self._order = order
        self._until = self._clock.monotonic() + (order.until - self._clock.now()).total_seconds()
        self._again = self._again or order.fresh or moved
        self._changed.set()

    def hurry(self) -> None:
        """End a pause between two attempts."""
        self._changed.set()

    @property
    def left_s(self) -> float:
        """Return seconds until the lease ends."""
        return self._until - self._clock.monotonic()

    async def run(self) -> None:
        """Publish until the lease ends. Cancelling is safe and ends the session."""
        attempt = 0
        while self.left_s > 0:
            began = time.monotonic()
            reason = await self._session()
            self.counters["ended_" + reason] += 1
            if reason in ("lease", "again"):  # a lease may have been renewed while its session was taken down
                attempt = 0
                continue
            attempt = 0 if time.monotonic() - began > 5.0 else attempt + 1
            await self._pause(attempt)
        logger.info("publishing ended", extra={"stream": self._order.stream, "reason": "lease"})

    async def _pause(self, attempt: int) -> None:
        self._changed.clear()
        delay = RETRY.delay(attempt, random.random())  # noqa: S311 - jitter, no secret
        await self._clock.wait(self._changed, min(delay, max(0.0, self.left_s)))

    async def _session(self) -> str:
        """Publish once; returns why it ended: lease, again, silent, failed, refused."""
        from edge_agent.media.peer import connect, new_peer, part

        self._again, order = False, self._order
        peer, client = new_peer(), WhipClient(order.whip_url, order.token, verify=self._verify)
        tracks, watch = self._add_tracks(peer)
        try:
            await connect(peer, client)
            logger.info("publishing", extra={"stream": order.stream, "url": order.whip_url})
            self.counters["sessions"] += 1
            self.live = True
            reason = await self._hold(lambda: peer.connectionState in ("failed", "closed"), _Silence(watch, tracks))
        except (LinkError, BadMediaError) as error:
            reason = "refused" if not error.retry else "failed"
            logger.warning("publishing failed", extra={"stream": order.stream, "reason": reason, "detail": str(error)})
        finally:
            self.live = False
            for track in tracks:
                track.stop()
            await part(peer, client)
        return reason

    def _add_tracks(self, peer: object) -> "tuple[list[FeedTrack], SenderWatch]":
        from aiortc import RTCPeerConnection

        from edge_agent.media.aiortc_private import SenderWatch
        from edge_agent.media.peer import prefer
        from edge_agent.media.tracks import FeedTrack

        assert isinstance(peer, RTCPeerConnection)  # noqa: S101 - narrows a lazily imported type
        video = FeedTrack("video", self._source.video.subscribe())
        tracks = [video]
        transceiver = peer.addTransceiver(video, direction="sendonly")
        prefer(transceiver, "video", "video/H264")
        watch = SenderWatch(transceiver.sender, self._source.video.request_key)
        if self._source.audio is not None:
            audio = FeedTrack("audio", self._source.audio.subscribe())
            prefer(peer.addTransceiver(audio, direction="sendonly"), "audio", "audio/opus")
            tracks.append(audio)
        return tracks, watch

    async def _hold(self, dead: Callable[[], bool], silence: "_Silence") -> str:
        while True:
            self._changed.clear()
            await self._clock.wait(self._changed, min(0.5, max(0.01, self.left_s)))
            if self.left_s <= 0:
                return "lease"
            if self._again:
                return "again"
            if dead():
                return "failed"
            if silence.too_long(time.monotonic()):
                return "silent"


class _Silence:
    """Tells a gateway that is gone from one that has nothing to report because the camera gives nothing."""

    def __init__(self, watch: "SenderWatch", tracks: "list[FeedTrack]") -> None:
        self._watch = watch
        self._tracks = tracks
        self._began = time.monotonic()
        self._reports = 0
        self._sent = 0

    def too_long(self, now: float) -> bool:
        """Judge at `now` (monotonic seconds)."""
        sent = sum(track.sent for track in self._tracks)
        if self._watch.reports != self._reports:
            self._reports, self._sent = self._watch.reports, sent
        heard = self._watch.heard_at
        limit = NEVER_HEARD_S if heard is None else SILENT_S
        return sent - self._sent >= UNREPORTED and now - (heard or self._began) > limit


class Publisher:
    """All publications of one agent."""

    def __init__(
        self, sources: dict[str, Source], clock: Clock, tasks: Supervisor, verify: "ssl.SSLContext | None" = None
    ) -> None:
        self.counters: Counter[str] = Counter()
        """Over all streams: `sessions` begun, `ended_<reason>`."""
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

    def names(self) -> tuple[str, ...]:
        """Return the names of the cameras whose packets flow now."""
        live = (stream for stream, publication in self._running.items() if publication.live)
        return tuple(sorted(split_stream(stream)[1] for stream in live))
