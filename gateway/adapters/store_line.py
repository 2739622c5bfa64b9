"""The line to a PostgreSQL server: what breaks it, whether it stands, and the notices that come over it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ssl import SSLContext
from typing import Any
from weakref import WeakSet

from asyncpg import connect
from asyncpg.exceptions import PostgresError
from asyncpg.exceptions._base import InterfaceError, InternalClientError
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.adapters.store_quick import JSON_COLUMNS
from gateway.ports.store import StoreHealth
from protocols.aio.clock import Clock
from protocols.errors import StoreAwayError

logger = logging.getLogger(__name__)
AGAIN_S = 0.5
BUSY_S = 10.0
PROBE_S = 5.0
CONNECT_S = 5.0
AWAY = (
    "08",  # connection exception
    "53300",  # too many connections
    "57P",  # admin shutdown, crash shutdown, cannot connect now, idle session
    "25006",  # read-only: a standby, or a primary that became one
    "25P03",  # idle in transaction: this process stood still and its transaction was ended
)
"""SQLSTATE prefixes (PostgreSQL 15, appendix A) after which the same work may succeed on another connection."""
WRONG = ("28", "3D")
"""Account or database are wrong: waiting does not help at a start, and may help later."""
BUSY = "55P03"
BROKEN = (OSError, TimeoutError, PostgresError, InterfaceError, InternalClientError)
"""What the driver raises on a line that breaks; the last where the server's farewell lies unread."""
CONNECTING = (*BROKEN, DBAPIError)
"""What may come where a connection is made."""


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE behind an error of driver or toolkit."""
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or getattr(getattr(cause, "__cause__", None), "sqlstate", None)


def lost(error: BaseException) -> bool:
    """Tell whether an error means that the server is away, and not that the statement was wrong."""
    if isinstance(error, InternalClientError):
        return True
    state = sqlstate(error)
    if state is not None and state.startswith((*AWAY, *WRONG)):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


def make_engine(
    url: URL, tls: SSLContext | None, size: int, settings: Mapping[str, str], opened: WeakSet[Any] | None = None
) -> AsyncEngine:
    """Make a pool whose connections are replaced, without asking the server, once they are known to be closed.

    `opened` gets each of them, as the driver has it.
    """
    arguments = {"timeout": CONNECT_S, "ssl": tls or False, "server_settings": dict(settings)}
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_S,
        connect_args=arguments,
        **JSON_COLUMNS,
    )

    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("closed while it lay in the pool")

    def note(connection: Any, _record: Any) -> None:
        if opened is not None:
            opened.add(connection.driver_connection)

    event.listen(engine.sync_engine, "checkout", look)
    event.listen(engine.sync_engine, "connect", note)
    return engine


@dataclass(frozen=True, slots=True)
class Heard:
    """Whom the line tells: of each notice, that the database is reached again, and that it answers no more."""

    noticed: Callable[[str], Awaitable[None]]
    returned: Callable[[], Awaitable[None]]
    silent: Callable[[], None]


class Line:
    """Listens on `channel`, and knows whether the database is there."""

    def __init__(
        self,
        url: URL,
        tls: SSLContext | None,
        channel: str,
        heard: Heard,
        clock: Clock,
    ) -> None:
        self._url = url
        self._tls = tls
        self._channel = channel
        self._heard = heard
        self._clock = clock
        self._notices: asyncio.Queue[str | None] = asyncio.Queue()
        self._first = asyncio.Event()
        self.health = StoreHealth(up=True, since=clock.now())

    def broke(self, error: BaseException) -> None:
        """Note that the database is away."""
        if self.health.up:
            self.health = replace(self.health, up=False, since=self._clock.now(), losses=self.health.losses + 1)
            logger.error("database away", extra={"reason": first_line(error)})
            self._notices.put_nowait(None)

    def works(self) -> None:
        """Note that the database answers."""
        if not self.health.up:
            away_s = (self._clock.now() - self.health.since).total_seconds()
            self.health = replace(self.health, up=True, since=self._clock.now())
            logger.warning("database back", extra={"away_s": round(away_s, 1)})

    async def listening(self, within_s: float) -> None:
        """Wait for the first time that notices are heard."""
        async with asyncio.timeout(within_s):
            await self._first.wait()

    async def run(self) -> None:
        """Listen for ever; connect again whenever the line breaks."""
        while True:
            try:
                await self._listen()
            except (*BROKEN, StoreAwayError) as error:
                self.broke(error)
                if isinstance(error, TimeoutError):
                    self._heard.silent()
            await asyncio.sleep(AGAIN_S)

    async def _listen(self) -> None:
        self._notices = asyncio.Queue()
        notices = self._notices
        connection = await connect(  # type: ignore[no-untyped-call]  # asyncpg has no types
            host=self._url.query.get("host") or self._url.host,
            port=self._url.port,
            user=self._url.username,
            password=self._url.password,
            database=self._url.database,
            ssl=self._tls or False,
            timeout=CONNECT_S,
            command_timeout=CONNECT_S,
        )
        try:
            connection.add_termination_listener(lambda _: notices.put_nowait(None))
            await connection.add_listener(self._channel, lambda _c, _pid, _channel, said: notices.put_nowait(str(said)))
            await self._heard.returned()
            self.works()
            self._first.set()
            while True:
                await self._hear(connection, notices)
        finally:
            with suppress(*BROKEN):
                await connection.close(timeout=1.0)

    async def _hear(self, connection: Any, notices: asyncio.Queue[str | None]) -> None:
        try:
            async with asyncio.timeout(PROBE_S):
                said = await notices.get()
        except TimeoutError:
            await connection.execute("SELECT 1")  # a server that vanished without a word is noticed here
            return
        if said is None:
            raise ConnectionResetError("the line to the database broke")
        await self._heard.noticed(said)
