"""Keeps sessions with other gateways alive: one `Relay` machine per stream, for relays upward and for pulls."""

import logging
import math
from collections.abc import Awaitable, Callable, Container, Iterator
from contextlib import suppress
from functools import partial

from gateway.media.layers import MAIN_ONLY
from gateway.media.machine import SILENT, Carry, Connect, Disconnect, Relay, RelayEffect, Release, Want
from gateway.ports.media import Layer, MediaEngine
from protocols.aio.clock import Clock
from protocols.aio.tasks import Work
from protocols.errors import NotFoundError, SilianError

logger = logging.getLogger(__name__)
Dial = Callable[[str, str, str], Awaitable[str]]


class Carrier:
    """Dials a stream's session again and again while it is leased; `count(kind, outcome)` is told how each dial went.

    `wanted(stream, layers)` is told what a lease wants, nothing where it ends or rests; `spawn` runs work beside
    the caller; `sessions` ends a session and narrows what it carries.
    """

    def __init__(
        self,
        name: str,
        dial: Dial,
        sessions: MediaEngine,
        *,
        clock: Clock,
        chance: Callable[[], float],
        spawn: Callable[[str, Work], None],
        count: Callable[[str, str], None],
        wanted: Callable[[str, frozenset[Layer]], None] | None = None,
    ) -> None:
        self._count = count
        self._name = name
        self._dial = dial
        self._sessions = sessions
        self._clock = clock
        self._chance = chance
        self._spawn = spawn
        self._wanted = wanted
        self._relays: dict[str, Relay] = {}

    def lease(
        self,
        stream: str,
        url: str,
        token: str,
        *,
        for_s: float = math.inf,
        fresh: bool = False,
        layers: frozenset[Layer] = MAIN_ONLY,
    ) -> None:
        """Keep a session of `stream` with `url` for so many seconds; repeated to renew, or for other layers."""
        now = self._clock.monotonic()
        relay = self._relays.setdefault(stream, Relay())
        self._perform(stream, relay.lease(url, token, until=now + for_s, fresh=fresh, now=now, layers=layers))

    def give_back(self, stream: str) -> None:
        """End a lease; an unknown stream is ignored."""
        relay = self._relays.get(stream)
        if relay is not None:
            self._perform(stream, relay.give_back())

    def session(self, stream: str) -> str | None:
        """Return the standing session of a stream."""
        relay = self._relays.get(stream)
        return relay.session_id if relay is not None else None

    def leases(self) -> Iterator[tuple[str, Relay]]:
        """Yield the streams that are leased, with their machines."""
        return ((stream, relay) for stream, relay in tuple(self._relays.items()) if not relay.over)

    def holds(self, stream: str) -> bool:
        """Tell whether a lease of the stream runs."""
        relay = self._relays.get(stream)
        return relay is not None and not relay.over

    def ended(self, stream: str, session_id: str) -> None:
        """Take that a session ended; sessions of others are ignored."""
        relay = self._relays.get(stream)
        if relay is not None and relay.session_id == session_id:
            self._perform(stream, relay.ended(session_id, self._clock.monotonic()))

    def lost(self, sessions: Container[str]) -> None:
        """Take that these sessions are lost."""
        for stream, relay in tuple(self._relays.items()):
            if relay.session_id is not None and relay.session_id in sessions:
                self.ended(stream, relay.session_id)

    @property
    def deadline(self) -> float:
        """Monotonic time of the next `tick`, infinite where nothing waits."""
        return min((at for relay in self._relays.values() if (at := relay.deadline) is not None), default=math.inf)

    def tick(self) -> None:
        """Let time pass."""
        for stream, relay in tuple(self._relays.items()):
            self._perform(stream, relay.tick(self._clock.monotonic()))
            if relay.over:
                del self._relays[stream]

    def _perform(self, stream: str, effects: list[RelayEffect]) -> None:
        for effect in effects:
            match effect:
                case Want(layers):
                    self._tell(stream, layers)
                case Release():
                    self._tell(stream, SILENT)
                case Carry(session_id, layers):
                    self._spawn(f"{self._name} layers[{stream}]", partial(self._narrow, session_id, layers))
                case Connect(url, token):
                    self._spawn(f"{self._name}[{stream}]", partial(self._connect, stream, url, token))
                case Disconnect(session_id):
                    self._spawn(f"{self._name} end[{stream}]", partial(self._disconnect, session_id))

    def _tell(self, stream: str, layers: frozenset[Layer]) -> None:
        if self._wanted is not None:
            self._wanted(stream, layers)

    async def _narrow(self, session_id: str, layers: frozenset[Layer]) -> None:
        try:
            await self._sessions.carry(session_id, layers)
        except SilianError as error:  # the session's end is told by the engine, and it is made again
            logger.info("relay not narrowed", extra={"session": session_id, "error": str(error)})

    async def _connect(self, stream: str, url: str, token: str) -> None:
        relay = self._relays[stream]
        try:
            session_id = await self._dial(stream, url, token)
        except Exception as error:  # without an end the machine would wait for ever
            known = isinstance(error, SilianError)
            reason = error.code if isinstance(error, SilianError) else SilianError.code
            logger.warning(
                "media session failed",
                extra={"kind": self._name, "stream": stream, "url": url, "reason": reason, "error": str(error)},
                exc_info=None if known else error,
            )
            self._count(self._name, reason)
            self._perform(stream, relay.failed(self._clock.monotonic(), self._chance()))
            return
        logger.info("media session up", extra={"kind": self._name, "stream": stream, "url": url})
        self._count(self._name, "done")
        self._perform(stream, relay.connected(session_id, self._clock.monotonic()))

    async def _disconnect(self, session_id: str) -> None:
        with suppress(NotFoundError):
            await self._sessions.end(session_id)
