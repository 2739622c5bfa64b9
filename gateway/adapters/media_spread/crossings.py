"""Streams from the replica where they live to another one where they are watched: once each, layers as watched there.

A crossing is the relay of a gateway to the tier above, made towards the door of another replica.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from gateway.adapters.media_embedded.rules.placement import Placement
from gateway.adapters.media_spread.wire import PREFIX
from gateway.ports.media import Layer
from protocols.aio.tasks import Supervisor
from protocols.errors import SilianError

logger = logging.getLogger(__name__)
LINGER_S = 10.0
"""A crossing that nobody needs stands so long: whoever switches slots to and fro finds it again."""
AGAIN_S = 0.5


class Source(Protocol):
    """What a crossing needs of the engine where the stream lives."""

    async def relay(self, stream: str, whip_url: str, token: str, *, near: bool = False) -> str:
        """See the port."""
        ...

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        """See the port."""
        ...

    async def end(self, session_id: str) -> None:
        """See the port."""
        ...


@dataclass(slots=True)
class Crossing:
    """One stream on its way to one member; `news` is set whenever somebody should look at it again."""

    stream: str
    home: str
    far: str
    session: str = ""
    carried: frozenset[Layer] | None = None
    over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Crossings:
    """Call `review` for streams whose users, home or wishes changed, `lost` for a member that is gone.

    `source` returns a member's engine, `url` where its HTTP is reached, `wanted(stream, member)` the layers to bring
    there.
    """

    def __init__(
        self,
        placement: Placement,
        source: Callable[[str], Source],
        url: Callable[[str], str],
        wanted: Callable[[str, str], frozenset[Layer]],
        secret: str,
    ) -> None:
        self._placement = placement
        self._source = source
        self._url = url
        self._wanted = wanted
        self._secret = secret
        self._standing: dict[tuple[str, str], Crossing] = {}
        self._tasks = Supervisor("media crossings")

    @property
    def count(self) -> int:
        """How many stand or are being made."""
        return len(self._standing)

    async def stop(self) -> None:
        """Make no more and end those that stand."""
        await self._tasks.stop()

    def review(self, streams: Iterable[str]) -> None:
        """Make what is needed, let the others see that something changed."""
        for stream in streams:
            for far in self._placement.away(stream):
                name = f"crossing[{stream}>{far}]"
                if not self._tasks.running(name):
                    self._tasks.start(name, partial(self._keep, stream, far), restart=False)
            for (one, _), crossing in self._standing.items():
                if one == stream:
                    crossing.news.set()

    def ended(self, sessions: Iterable[str]) -> None:
        """Note sessions that are over; those of others are ignored."""
        gone = set(sessions)
        for crossing in self._standing.values():
            if crossing.session in gone:
                self._give_up(crossing)

    def lost(self, member: str, streams: Iterable[str] | None = None) -> None:
        """Note that a member is gone, or that it dropped what it had of some streams."""
        some = None if streams is None else frozenset(streams)
        for crossing in self._standing.values():
            if member in {crossing.home, crossing.far} and (some is None or crossing.stream in some):
                self._give_up(crossing)

    @staticmethod
    def _give_up(crossing: Crossing) -> None:
        crossing.over = True
        crossing.news.set()

    async def _keep(self, stream: str, far: str) -> None:
        """Keep a stream coming to a member while it is needed there, whoever dies meanwhile."""
        while far in self._placement.away(stream):
            crossing = self._standing[stream, far] = Crossing(stream, self._placement.home(stream), far)
            try:
                await self._make(crossing)
                await self._stand(crossing)
            except (SilianError, LookupError) as error:
                told = {"stream": stream, "from": crossing.home, "to": far, "reason": str(error)}
                logger.warning("stream not brought to another replica", extra=told)
                await asyncio.sleep(AGAIN_S)
            finally:
                self._standing.pop((stream, far), None)
                await self._close(crossing)

    async def _make(self, crossing: Crossing) -> None:
        url = f"{self._url(crossing.far)}{PREFIX}/whip/{crossing.stream}"
        crossing.session = await self._source(crossing.home).relay(crossing.stream, url, self._secret, near=True)
        logger.info(
            "stream brought to another replica",
            extra={"stream": crossing.stream, "from": crossing.home, "to": crossing.far},
        )

    async def _stand(self, crossing: Crossing) -> None:
        """Look after a crossing until it ends, its stream lives elsewhere, or nobody has needed it for a while."""
        while not crossing.over and self._placement.home(crossing.stream) == crossing.home:
            crossing.news.clear()
            await self._carry(crossing)
            if crossing.far in self._placement.away(crossing.stream):
                await crossing.news.wait()
                continue
            try:
                async with asyncio.timeout(LINGER_S):
                    await crossing.news.wait()
            except TimeoutError:
                return

    async def _carry(self, crossing: Crossing) -> None:
        wanted = self._wanted(crossing.stream, crossing.far)
        if wanted != crossing.carried:
            crossing.carried = wanted
            await self._source(crossing.home).carry(crossing.session, wanted)

    async def _close(self, crossing: Crossing) -> None:
        if crossing.session:
            with suppress(SilianError, LookupError):
                await self._source(crossing.home).end(crossing.session)
