"""Port `media` over several replicas: the engine of the one that leads places streams over those that live.

What `MediaEngine` promises holds for all together. A member that is lost is as a worker that died (`EngineRestarted`).
"""

import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.ports.media import MediaEngine


@dataclass(frozen=True, slots=True)
class Place:
    """One replica and where its HTTP is reached."""

    id: str
    name: str
    url: str


class SpreadEngine(MediaEngine, Protocol):
    """The engines of several replicas as one; before `lead` it is that of its own process alone."""

    moved: int
    """Streams with a source that a replica took with it when it was lost."""

    @property
    def near(self) -> MediaEngine:
        """The engine of this process."""
        ...

    @property
    def crossings(self) -> int:
        """How many streams are brought from one replica to another now."""
        ...

    def streams(self) -> dict[str, int]:
        """Return for each member by name how many streams with a source live there."""
        ...

    def lead(self, me: Place, living: Callable[[], Collection[Place]]) -> None:
        """Place streams over all of `living` from now on, asked for each second; it includes `me`."""
        ...


class EngineDoor(Protocol):
    """An ASGI application around another: there the leading replica reaches this engine. Use it with `async with`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        ...

    async def shut(self) -> None:
        """Obey nobody any more and end what others made here: this replica leads from now on."""
        ...


class Spreading(Protocol):
    """Makes both. `secret` is known to the replicas alone, `trust` is the TLS context towards them."""

    def engine(
        self, near: MediaEngine, *, secret: str, trust: Callable[[], ssl.SSLContext], workers: int
    ) -> SpreadEngine:
        """Return the engine; `workers` is how many a replica has."""
        ...

    def door(self, app: ASGIApp, near: MediaEngine, *, me: str, secret: str, leads: Callable[[], bool]) -> EngineDoor:
        """Return the door of the replica with the id `me`; while `leads()` it takes no commands."""
        ...
