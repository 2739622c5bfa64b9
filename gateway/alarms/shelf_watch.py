"""Shows shelved alarms again when their time is over: the time stands in their rows, so it survives a restart."""

import logging

from gateway.alarms.service import Alarms
from protocols.aio.clock import Clock

logger = logging.getLogger(__name__)
LOOK_S = 1.0


class ShelfWatch:
    """Run `run` as a supervised task."""

    def __init__(self, clock: Clock, alarms: Alarms) -> None:
        self._clock = clock
        self._alarms = alarms

    async def run(self) -> None:
        """Look once a second for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            ended = await self._alarms.end_shelves()
            if ended:
                logger.info("alarms shown again", extra={"count": ended})
