"""Judges the pictures of publishers that no agent speaks for: a console's camera in a call, a foreign WHIP client.

One decoding at a time, the longest unjudged stream first, so that the cost stays the same however many publish.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol

from gateway.ports.media import Still
from protocols.aio.clock import Clock
from protocols.errors import SilianError
from protocols.health import CameraHealth, Verdict
from protocols.picture import PictureJudge

logger = logging.getLogger(__name__)
EVERY_S = 5.0
"""Each stream is looked at this often while few publish."""
PAUSE_S = 0.25
"""Rest between two decodings."""
STALE_S = 30.0
"""A picture that was last seen longer ago than this is none."""
LOOK_WITHIN_S = 3.0


class StillOf(Protocol):
    """The engine's stills."""

    async def __call__(self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0) -> Still:
        """Return the newest decoded picture; raises NotFoundError."""
        ...


class Opinion:
    """What is known of one stream's picture."""

    def __init__(self) -> None:
        self.judge = PictureJudge(stale_after_s=STALE_S)
        self.verdict: Verdict | None = None
        self.health: CameraHealth | None = None
        self.looked_at: float | None = None
        self.arrived_at: float | None = None


class Judging:
    """`foreign` names the live streams to judge; `changed` is told of a new verdict. Run `run` beside the rest."""

    def __init__(
        self,
        still: StillOf,
        foreign: Callable[[], Iterable[str]],
        changed: Callable[[str], None],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._still = still
        self._foreign = foreign
        self._changed = changed
        self._clock = clock
        self._sleep = sleep or clock.sleep
        self._opinions: dict[str, Opinion] = {}

    def health(self, stream: str) -> CameraHealth | None:
        """Return the newest verdict, None for a stream that is not judged here."""
        opinion = self._opinions.get(stream)
        return opinion.health if opinion is not None else None

    def judged(self) -> tuple[str, ...]:
        """Return the streams that are judged here, in order."""
        return tuple(sorted(stream for stream, opinion in self._opinions.items() if opinion.health is not None))

    async def run(self) -> None:
        """Look at one stream after the other, for ever."""
        while True:
            await self.step()
            await self._sleep(PAUSE_S)

    async def step(self) -> None:
        """Look at the stream that has waited longest, if one is due."""
        present = set(self._foreign())
        self._opinions = {s: o for s, o in self._opinions.items() if s in present}
        for stream in present:
            self._opinions.setdefault(stream, Opinion())
        due = [s for s, o in self._opinions.items() if self._waited(o) >= EVERY_S]
        if due:
            stream = max(due, key=lambda name: self._waited(self._opinions[name]))
            await self._look(stream, self._opinions[stream])

    def _waited(self, opinion: Opinion) -> float:
        return float("inf") if opinion.looked_at is None else self._clock.monotonic() - opinion.looked_at

    async def _look(self, stream: str, opinion: Opinion) -> None:
        opinion.looked_at = self._clock.monotonic()
        age: int | None = None
        try:
            seen = await self._still(stream, newer_than=opinion.arrived_at, timeout_s=LOOK_WITHIN_S)
        except SilianError as error:
            logger.debug("no picture to judge", extra={"stream": stream, "error": str(error)})
        else:
            opinion.arrived_at, age = seen.arrived_at, seen.frame_age_ms
            opinion.judge.look(replace(seen.sample, at=self._clock.monotonic()))
        verdict = opinion.judge.verdict(self._clock.monotonic())
        opinion.health = CameraHealth(verdict=verdict, frame_age_ms=age, checked_at=self._clock.now())
        if verdict is not opinion.verdict:
            opinion.verdict = verdict
            logger.info("picture judged here", extra={"stream": stream, "verdict": verdict})
            self._changed(stream)
