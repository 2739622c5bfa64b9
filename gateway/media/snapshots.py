"""Snapshots in place of streams whose media path is down: taken from below, shown here, passed on to the tier above.

Kept apart from the engine on purpose: whoever judges, counts, records or calls asks the engine and never meets one. A
snapshot is taken only while its stream is wanted here and does not arrive, and is gone as soon as it does.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from gateway.events import CameraChanged
from gateway.media.carrier import Carrier
from gateway.media.machine import Relay
from gateway.media.needs import MediaNeeds
from gateway.ports.media import StreamState
from gateway.web.media_tokens import MediaDirection
from protocols.aio.whip import WhipClient
from protocols.errors import (
    NotAllowedError,
    NotFoundError,
    RefusedError,
    SilianError,
    TooLargeError,
    TooOftenError,
    WrongMomentError,
)
from protocols.snapshot import KEPT_S, LEAST_GAP_S, MOST_BYTES, Snapshot, SnapshotTurns, age_at, jpeg_size

logger = logging.getLogger(__name__)
LOOK_S = 1.0
WITHIN_S = 15.0
MOST_KEPT = 256
"""Streams of which one is kept, 24 MiB at most; the oldest gives way."""
WIDTHS = (960, 640, 320)
"""Of pictures that this gateway makes itself: the first one whose JPEG fits is sent."""


@dataclass(frozen=True, slots=True)
class Held:
    """A snapshot with the monotonic time at which it came; its `age_s` is that of its arrival."""

    snapshot: Snapshot
    came_at: float


class Snapshots:
    """Part of the media room. `run` passes them on and forgets old ones; all else is called in the room's loop."""

    def __init__(
        self,
        needs: MediaNeeds,
        *,
        wanted: Callable[[str], bool],
        state: Callable[[str], StreamState],
        hop: Callable[[str], str | None],
        relays: Carrier,
    ) -> None:
        """`hop` names the node that is asked for a stream, `relays` holds the leases of the tier above."""
        self._clock = needs.clock
        self._bus = needs.bus
        self._engine = needs.engine
        self._metrics = needs.metrics
        self._tokens = needs.tokens
        self._trust = needs.trust
        self._wanted = wanted
        self._state = state
        self._hop = hop
        self._relays = relays
        self._held: dict[str, Held] = {}
        self._passed: dict[str, float] = {}
        self._turns = SnapshotTurns(LEAST_GAP_S)
        self._came = asyncio.Event()
        needs.metrics.live("media_snapshot_streams", lambda: [((), float(len(tuple(self.shown()))))])

    def count(self, outcome: str) -> None:
        """Count how a snapshot fared: `taken`, `passed_on`, or the code of its error."""
        self._metrics.count("media_snapshots_total", outcome=outcome)

    def admit(self, stream: str, token: str | None) -> None:
        """Tell whether one may come now, before its body is read.

        Raises NotAuthenticatedError, NotAllowedError (another stream's token, another node's), WrongMomentError where
        the stream is live here or nobody asks for it, TooOftenError.
        """
        grant = self._tokens.verify(token, MediaDirection.PUBLISH, stream, now=self._clock.now())
        if grant.holder != self._hop(stream):
            raise NotAllowedError(f"{stream} does not come from {grant.holder}; its own node sends its snapshots")
        if not self._wanted(stream):
            raise WrongMomentError(f"nobody asks for {stream} now; send no snapshot of it")
        if self._state(stream) is StreamState.LIVE:
            raise WrongMomentError(f"{stream} is live here; no snapshot takes its place")
        held = self._held.get(stream)
        if held is not None and self._clock.monotonic() - held.came_at < LEAST_GAP_S:
            raise TooOftenError(f"the last snapshot of {stream} is younger than {LEAST_GAP_S:.0f} s")

    def take(self, sent: Snapshot, token: str | None) -> None:
        """Show it from now on. Raises as `admit`, and TooLargeError, BadMediaError, BadClockError, ExpiredError."""
        jpeg_size(sent.jpeg)
        self.admit(sent.stream, token)  # anew: the stream may have come back while the body was read
        age_s = age_at(sent.taken_at, sent.age_s, self._clock.now())
        former = self._held.get(sent.stream)
        if former is not None and former.snapshot.taken_at >= sent.taken_at:
            raise WrongMomentError(f"a snapshot of {sent.stream} that was taken later is here already")
        self._held.pop(sent.stream, None)  # the newest stands last
        self._held[sent.stream] = Held(replace(sent, age_s=age_s), self._clock.monotonic())
        while len(self._held) > MOST_KEPT:
            self._drop(next(iter(self._held)), "room")
        self.count("taken")
        self._came.set()
        if former is None:
            logger.warning("snapshots in place of the stream", extra={"stream": sent.stream})
            self._bus.publish(CameraChanged(sent.stream))

    def get(self, stream: str) -> Snapshot | None:
        """Return what stands in place of a stream, with its present age; None where nothing does."""
        held = self._held.get(stream)
        if held is None or self._state(stream) is StreamState.LIVE:
            return None
        age_s = held.snapshot.age_s + self._clock.monotonic() - held.came_at
        return replace(held.snapshot, age_s=age_s) if age_s < KEPT_S else None

    def shown(self) -> Iterator[Snapshot]:
        """Yield all that are shown now."""
        return (shown for stream in tuple(self._held) if (shown := self.get(stream)) is not None)

    def live(self, stream: str) -> None:
        """Take that a stream arrives: its snapshot is gone at once."""
        if stream in self._held:
            self._drop(stream, "media")

    def _drop(self, stream: str, why: str) -> None:
        del self._held[stream]
        self._passed.pop(stream, None)
        logger.info("no snapshots any more", extra={"stream": stream, "reason": why})
        self._bus.publish(CameraChanged(stream))

    async def run(self) -> None:
        """Pass on what the tier above waits for, and forget what is too old, for ever. Cancelling is safe."""
        while True:
            self._came.clear()
            for stream in [s for s in self._held if self.get(s) is None]:
                self._drop(stream, "age")
            owed = self._owed()
            due = self._turns.due(self._clock.monotonic(), owed)
            if due is None:
                await self._clock.wait(self._came, LOOK_S)
                continue
            good = False
            try:
                good = await self._pass_on(due, owed[due])
            finally:
                self._turns.done(self._clock.monotonic(), good=good)

    def _owed(self) -> dict[str, Relay]:
        """Return the leases of the tier above that a snapshot is due for.

        A new one came from below; or the stream itself is here, and no session with the tier above can be made.
        """
        owed = {}
        for stream, relay in self._relays.leases():
            held = self._held.get(stream)
            news = held is not None and self._passed.get(stream) != held.came_at
            cut_off = relay.failing and self._state(stream) is StreamState.LIVE
            if relay.layers and (news or cut_off):
                owed[stream] = relay
        return owed

    async def _pass_on(self, stream: str, relay: Relay) -> bool:
        held = self._held.get(stream)
        url, token = relay.address
        try:
            async with asyncio.timeout(WITHIN_S):
                snapshot = self.get(stream) or await self._own(stream)
                async with WhipClient(url, token, timeout_s=WITHIN_S, verify=self._trust()) as client:
                    await client.post_snapshot(snapshot)
        except (SilianError, TimeoutError) as error:
            reason = error.reason if isinstance(error, RefusedError) else getattr(error, "code", "timeout")
            self.count("not_passed_on")
            logger.info("snapshot not passed on", extra={"stream": stream, "reason": reason, "error": str(error)})
            return False
        if held is not None:
            self._passed[stream] = held.came_at
        self.count("passed_on")
        return True

    async def _own(self, stream: str) -> Snapshot:
        """Make one of the stream that arrives here. Raises NotFoundError, TooLargeError."""
        if self._state(stream) is not StreamState.LIVE:
            raise NotFoundError(f"the snapshot of {stream} has grown too old")
        for width in WIDTHS:
            still = await self._engine.still(stream, timeout_s=WITHIN_S, width=width)
            if len(still.jpeg) <= MOST_BYTES:
                age_s = still.frame_age_ms / 1000
                return Snapshot(stream, still.jpeg, self._clock.now() - timedelta(seconds=age_s), age_s)
        raise TooLargeError(f"no picture of {stream} fits into {MOST_BYTES} bytes")
