"""How fast the counties of a call are rung: so many at a time are on their way to a first picture.

A ring costs a county and its gateway most: handshakes, a new session, the owner's proof. A hundred at once keep one
another waiting until pictures are late for no fault of the counties. A round is let in as soon as another has its
picture, and only while pictures are decoded soon after they arrive: a fast gateway rings all in a few seconds, a slow
one no faster than it can look. **A call that takes longer is a nuisance, a county lost for our own fault an untruth.**
"""

import asyncio
import logging

from protocols.aio.clock import Clock

logger = logging.getLogger(__name__)
MOST_S = 3.0
"""A round keeps others waiting no longer than this: who does not answer must not hold a call up."""
SLOW_S = 1.0
"""Two thirds of the time between two looks (`Profile.look_every_s`): what comes later than that gets later still."""
FRESH_S = 2.0
"""A lag that was told longer ago says nothing of now."""
LOOK_S = 0.2
_SHARE = 0.2
"""How much one picture counts in the running mean."""


class Turn:
    """One round's place among those that are let in. `leave` may be called at any time, and again."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places
        self.seen = asyncio.Event()
        """Set it when the round has its first picture, or has ended."""

    def leave(self) -> None:
        """Give the place to the next."""
        self.seen.set()
        if self._places is not None:
            places, self._places = self._places, None
            places.release()


class Pace:
    """Lets `limit` rounds in at a time."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._places = asyncio.Semaphore(limit)
        self._lag_s = 0.0
        self._told_at = clock.monotonic()

    def tell(self, lag_s: float) -> None:
        """Take how long this gateway needed for a picture that was there and asked for."""
        fresh = self._clock.monotonic() - self._told_at <= FRESH_S
        self._lag_s = lag_s * _SHARE + self._lag_s * (1 - _SHARE) if fresh else lag_s
        self._told_at = self._clock.monotonic()

    @property
    def slow(self) -> bool:
        """Tell whether pictures are decoded too late for more to be asked for."""
        return self._lag_s > SLOW_S and self._clock.monotonic() - self._told_at <= FRESH_S

    async def turn(self) -> Turn:
        """Wait for a place and until pictures come in time, and take it. Cancelling is safe: none is taken then."""
        await self._places.acquire()
        turn = Turn(self._places)
        try:
            if self.slow:
                logger.info("roll call waits for its pictures", extra={"lag_s": round(self._lag_s, 2)})
            while self.slow:
                await self._clock.sleep(LOOK_S)
        except BaseException:
            turn.leave()
            raise
        return turn

    async def give_up(self, turn: Turn) -> None:
        """Give a turn's place to the next once it has its picture, or after `MOST_S`."""
        try:
            await self._clock.wait(turn.seen, MOST_S)
        finally:
            turn.leave()
