"""The last rung: single pictures over HTTP where no media session can be made, until one can.

**A snapshot is sent only while its stream is asked for and every way of sending the stream has failed**, and none is
under way once packets flow again. Attempts at a session go on beside it as before.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.cameras.preview import Preview
from protocols.aio.clock import Clock
from protocols.aio.tasks import together
from protocols.aio.whip import WhipClient
from protocols.command import MediaPublish
from protocols.errors import NotFoundError, RefusedError, SilianError
from protocols.snapshot import FRESH_S, Snapshot, SnapshotTurns

if TYPE_CHECKING:
    from edge_agent.media.publisher import Publisher

logger = logging.getLogger(__name__)
LOOK_S = 0.25
WITHIN_S = 15.0
"""A picture that takes longer would be too old when it is there."""


class Snapshots:
    """Run `run` beside the publisher. `counters`: `sent`, `stopped` (media came back), `none`, `failed`, `refused_*`.

    `refused_<code>` bears the gateway's problem code; `none` counts cameras that gave no fresh picture.
    """

    def __init__(self, publisher: "Publisher", previews: Mapping[str, Preview], clock: Clock) -> None:
        """`previews` give pictures of the streams, by stream id."""
        self.counters: Counter[str] = Counter()
        self._publisher = publisher
        self._previews = previews
        self._clock = clock
        self._turns = SnapshotTurns()
        self._told: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Send what is due, for ever. Cancelling is safe."""
        while True:
            dark = self._publisher.dark()
            self._tell(frozenset(dark))
            stream = self._turns.due(time.monotonic(), dark)
            if stream is None:
                await self._clock.sleep(LOOK_S)
                continue
            good = False
            try:
                good = await self._one(dark[stream])
            finally:
                self._turns.done(time.monotonic(), good=good)

    def _tell(self, dark: frozenset[str]) -> None:
        for stream in dark ^ self._told:
            logger.info("snapshots in place of the stream", extra={"stream": stream, "on": stream in dark})
        self._told = dark

    async def _one(self, order: MediaPublish) -> bool:
        """Take and send one picture; True where the gateway took it."""
        stream = order.stream
        try:
            async with asyncio.timeout(WITHIN_S):
                shot = await self._previews[stream].shot()
                age_s = time.monotonic() - shot.arrived
                if age_s > FRESH_S:
                    raise NotFoundError(f"the newest picture of {stream} is {age_s:.0f} s old")
                taken_at = self._clock.now() - timedelta(seconds=age_s)
                return await self._send(order, Snapshot(stream, shot.jpeg, taken_at, age_s))
        except NotFoundError as error:
            self._count("none", stream, error)
        except RefusedError as error:
            self._count(f"refused_{error.reason}", stream, error)
        except (SilianError, TimeoutError) as error:
            self._count("failed", stream, error)
        return False

    async def _send(self, order: MediaPublish, snapshot: Snapshot) -> bool:
        """Send it, and let go as soon as the stream itself is sent."""
        taken = asyncio.Event()

        async def post() -> None:
            async with WhipClient(order.whip_url, order.token, timeout_s=WITHIN_S, verify=self._publisher.verify) as to:
                await to.post_snapshot(snapshot)
            taken.set()

        await together({"snapshot.post": post(), "snapshot.media": self._until_media(order.stream)})
        self.counters["sent" if taken.is_set() else "stopped"] += 1
        return taken.is_set()

    async def _until_media(self, stream: str) -> None:
        while stream in self._publisher.dark():
            await self._clock.sleep(LOOK_S)

    def _count(self, name: str, stream: str, error: Exception) -> None:
        self.counters[name] += 1
        logger.info("no snapshot sent", extra={"stream": stream, "reason": name, "detail": str(error)})
