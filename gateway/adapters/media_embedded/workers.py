"""The crew: one supervised worker per core at most, who of them lives, and what they say together.

Workers are named by their number. Each has a port of its own: the configured one, the next one, and so on.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial

from gateway.adapters.media_embedded.identity import Identity
from gateway.adapters.media_embedded.rules.placement import Placement
from gateway.adapters.media_embedded.wire import Answer, Figures, Limit
from gateway.adapters.media_embedded.worker_link import WorkerLink
from protocols.aio.tasks import Supervisor
from protocols.errors import ConfigError, LinkError

LAST_PORT = 65535


class Crew:
    """Start with `async with`. `placement` always knows who lives; `lost(worker, streams)` is called after it does.

    `streams` of `lost` are those whose home or users changed.
    """

    def __init__(
        self,
        placement: Placement,
        heard: Callable[[str, Answer], None],
        lost: Callable[[str, set[str]], None],
    ) -> None:
        self.placement = placement
        self.links: dict[str, WorkerLink] = {}
        self.uplink_bps = 0
        self._heard, self._lost = heard, lost
        self._tasks = Supervisor("media workers")
        self._limits: dict[str, int] = {}

    async def start(
        self, identity: Identity, bind: tuple[str, ...], ports: list[int], path: tuple[str, float, str], *, tcp: bool
    ) -> None:
        """Start one worker per port, at once; raises ConfigError for a port that cannot be had, LinkError otherwise."""
        if max(ports) > LAST_PORT:
            raise ConfigError(f"{len(ports)} media workers from port {ports[0]} on need ports above {LAST_PORT}")
        for number, port in enumerate(ports):
            name = str(number)
            self.links[name] = WorkerLink(
                identity,
                bind,
                port,
                path,
                partial(self._heard, name),
                partial(self._gone, name),
                tcp=tcp,
                uplink_bps=self.uplink_bps,
            )
            self.links[name].on_up = partial(self._came, name)
        started = await asyncio.gather(*(link.__aenter__() for link in self.links.values()), return_exceptions=True)
        failed = [error for error in started if isinstance(error, BaseException)]
        if failed:
            await self.stop()
            raise failed[0]

    async def stop(self) -> None:
        """End all workers."""
        await self.stop_sharing()
        await asyncio.gather(*(link.__aexit__() for link in self.links.values()))

    def _came(self, name: str) -> None:
        self._limits[name] = self.uplink_bps
        self.placement.joined(name)

    def _gone(self, name: str) -> None:
        self._lost(name, self.placement.left(name))

    @property
    def restarts(self) -> int:
        """How many workers were replaced."""
        return sum(link.restarts for link in self.links.values())

    def home(self, stream: str) -> str:
        """Return the worker where a stream lives; raises LinkError while there is none."""
        return self._placed(lambda: self.placement.home(stream))

    def viewer(self, stream: str) -> str:
        """Return the worker of the next viewer of a stream; raises LinkError while there is none."""
        return self._placed(lambda: self.placement.viewer(stream))

    def wall(self) -> str:
        """Return the worker of the next wall; raises LinkError while there is none."""
        return self._placed(self.placement.least)

    @staticmethod
    def _placed(ask: Callable[[], str]) -> str:
        try:
            return ask()
        except LookupError:
            raise LinkError("the media worker is being restarted; try again in a second") from None

    def share_uplink(self, relays: Mapping[str, int]) -> None:
        """Divide what all relays together may send by how many each worker has."""
        total = sum(relays.values())
        if not self.uplink_bps or not total:
            return
        for name, count in relays.items():
            limit = self.uplink_bps * count // total
            if count and self._limits.get(name) != limit:
                self._limits[name] = limit
                if not self._tasks.running(f"limit[{name}]"):
                    self._tasks.start(f"limit[{name}]", partial(self._limit, name), restart=False)

    async def stop_sharing(self) -> None:
        """Tell no worker of limits any more."""
        await self._tasks.stop()

    async def _limit(self, name: str) -> None:
        told = None
        with contextlib.suppress(LinkError):  # its successor begins with a limit
            while told != self._limits[name]:
                told = self._limits[name]
                await self.links[name].request(Limit(told))

    async def figures(self) -> dict[str, Figures]:
        """Return the figures of all that answer; raises LinkError where none does."""
        asked = await asyncio.gather(*(link.figures() for link in self.links.values()), return_exceptions=True)
        found: dict[str, Figures] = {}
        for name, answer in zip(self.links, asked, strict=True):
            if isinstance(answer, Figures):
                found[name] = answer
            elif not isinstance(answer, LinkError):
                raise answer
        if not found:
            raise LinkError("the media worker is being restarted; try again in a second")
        return found
