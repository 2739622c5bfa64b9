"""One Janus kept in sight: run here or met elsewhere, its session and room made anew after each of its deaths.

**Janus keeps nothing over a restart**: whoever had something there is told by `lost` and must begin again.
"""

import asyncio
import contextlib
import logging
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.media_janus.api import JanusClient, JanusSession, ServerInfo
from gateway.adapters.media_janus.server import JanusSetup, janus_server
from gateway.adapters.media_janus.videoroom import PLUGIN, VideoRoom
from protocols.aio.tasks import Supervisor
from protocols.backoff import Backoff
from protocols.errors import ConfigError, LinkError, NeedsError, SilianError

logger = logging.getLogger(__name__)
START_S = 5.0
LOOK_EVERY_S, SILENT_S = 0.5, 2.0
"""How often Janus is asked whether it still knows us, and how long it may take to say so."""
PUBLISHERS = 4096
CODECS = "h264,vp8,vp9,av1,h265"
SAFE = (1, 4, 1)
"""Older ones lack SRTP on the line between two Januses (1.3.0), consent checks (1.2.0) and known repairs."""


@dataclass(frozen=True, slots=True)
class JanusPlace:
    """Where Janus is. Without `url` it is run here, in `directory`, with candidates at `interface` alone if given.

    `secret` is the API secret of an external one. `heard_at` is the address of ours to which it sends plain RTP.
    """

    directory: Path
    url: str | None = None
    secret: str = ""
    interface: str = ""
    heard_at: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Standing:
    """A Janus that answers, with our session and room; `host` is where its plain RTP comes from."""

    info: ServerInfo
    session: JanusSession
    room: int
    host: str
    pid: int | None


def too_old(version: str) -> bool:
    """Tell whether a version lacks what `SAFE` names."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3]) < SAFE


class JanusConnection:
    """Start with `async with`; `standing` raises LinkError while there is no Janus. `lost` is called at each death."""

    def __init__(self, place: JanusPlace, lost: Callable[[], None]) -> None:
        self.place = place
        self.restarts = 0
        self._lost = lost
        self._tasks = Supervisor("janus", backoff=Backoff(base=0.2, cap=5.0, floor=0.05))
        self._standing: Standing | None = None
        self._ready = asyncio.Event()
        self._failure: SilianError | None = None

    async def __aenter__(self) -> "JanusConnection":
        """Find Janus; one that does not answer is looked for further on, for alarms must not wait for it.

        Raises NeedsError where the program or its videoroom is not there.
        """
        self._tasks.start("janus", self._live)
        try:
            async with asyncio.timeout(START_S):
                await self._ready.wait()
        except TimeoutError:
            logger.error("janus is away", extra={"reason": str(self._failure or "no answer")})
        except BaseException:
            await self._tasks.stop()
            raise
        if self._standing is None and isinstance(self._failure, ConfigError | NeedsError):
            await self._tasks.stop()
            raise self._failure
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()

    @property
    def standing(self) -> Standing:
        """The Janus that answers now; raises LinkError while there is none."""
        if self._standing is None:
            raise LinkError("Janus is away; it is being started again or looked for")
        return self._standing

    async def _live(self) -> None:
        """Find one Janus and watch it until it is gone; raises LinkError then."""
        try:
            async with self._met() as (client, host, pid), client.session() as session:
                self._standing = await self._stand(client, session, host, pid)
                self._ready.set()
                try:
                    await self._watch(session)
                except LinkError:
                    self._standing = None
                    self.restarts += 1
                    self._lost()
                    raise
        except (ConfigError, NeedsError) as error:
            self._failure = error
            self._ready.set()
            raise
        except SilianError as error:
            self._failure = error
            raise

    @contextlib.asynccontextmanager
    async def _met(self) -> AsyncIterator[tuple[JanusClient, str, int | None]]:
        place = self.place
        if place.url is None:
            setup = JanusSetup(place.directory, free_port(), place.interface)
            async with janus_server(setup) as server:
                yield server.client, place.heard_at, server.pid
            return
        host = await _address_of(place.url)
        async with JanusClient(place.url, secret=place.secret) as client:
            yield client, host, None

    @staticmethod
    async def _stand(client: JanusClient, session: JanusSession, host: str, pid: int | None) -> Standing:
        info = await client.info()
        if PLUGIN not in info.plugins:
            raise NeedsError("this Janus has no videoroom plugin; load libjanus_videoroom.so")
        if too_old(info.version):
            safe = ".".join(str(part) for part in SAFE)
            logger.warning("janus is old", extra={"version": info.version, "wanted": safe})
        room = secrets.randbits(48) + 1
        await (await VideoRoom.attach(session)).create(room, publishers=PUBLISHERS, codecs=CODECS)
        return Standing(info, session, room, host, pid)

    @staticmethod
    async def _watch(session: JanusSession) -> None:
        """Return never; raise LinkError when Janus is gone, silent, or knows us no more."""
        while not session.lost.is_set():
            try:
                async with asyncio.timeout(SILENT_S):
                    await session.client.post(session.url, {"janus": "keepalive"})
                    await asyncio.sleep(LOOK_EVERY_S)
            except TimeoutError as error:
                raise LinkError(f"Janus has been silent for {SILENT_S:g} s") from error
        raise LinkError("Janus has forgotten the session")


def free_port() -> int:
    """Find a port of loopback with another free one above it, for the admin interface."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


async def _address_of(url: str) -> str:
    """Return the IPv4 address of the URL's host; raises LinkError."""
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
    except OSError as error:
        raise LinkError(f"the host of {url} has no IPv4 address") from error
    return str(found[0][4][0])
