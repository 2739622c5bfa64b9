"""Which voices an officer muted: rows in the store, and in memory what they say, so that the floor need not read.

**A row is written before anybody is told**: a gateway that was killed has the same voices muted before its API answers.
What is muted is known by the stream's name, `320623/room`. A camera has the same name after every restart, of itself or
of this gateway; a media session has not, so none is kept here. How long a mute lasts says `lasting.py`. A roll call
mutes nobody here: it tells each county where it stands, from its own rows.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sqlalchemy import delete, select

from gateway.media.lasting import Lasting
from gateway.media.tables import MUTES
from gateway.ports.store import Store, UnitOfWork
from protocols.aio.clock import Clock
from protocols.errors import NotFoundError

logger = logging.getLogger(__name__)
TIDY_S: Final = 5.0


class Mutes:
    """`load` before anybody is served, `run` beside the rest, `settle` once all rooms are open.

    `streams` are the names of all muted voices. Writing raises StoreAwayError; it may be cancelled: a mute is then
    either in the store and in `streams`, or in neither.
    """

    def __init__(
        self, store: Store, clock: Clock, stands: Callable[[str], bool], changed: Callable[[frozenset[str]], None]
    ) -> None:
        """`stands` tells whether there is a camera or voice of a name; `changed` is told what another state has."""
        self._store = store
        self._clock = clock
        self._stands = stands
        self._changed = changed
        self._lasting = Lasting()
        self._some = asyncio.Event()
        self.streams: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Go on with what was muted before a restart; raises StoreAwayError."""
        async with self._store.reading() as reader:
            rows = (await reader.execute(select(MUTES))).all()
        for row in rows:
            told = {"stream": row.stream, "by": row.muted_by, "since": row.muted_at.isoformat()}
            logger.info("voice still muted", extra=told)
        self._become(frozenset(row.stream for row in rows))

    async def settle(self) -> None:
        """Forget the mutes of sessions and calls that ended with the process before; raises StoreAwayError."""
        self._lasting.settled(self.streams)
        await self.tidy()

    async def mute(self, stream: str, *, by: str) -> None:
        """Let nobody here hear a stream from now on. Raises NotFoundError where there is neither camera nor voice."""
        if not self._stands(stream):
            raise NotFoundError(f"no camera or voice {stream}")
        async with self._store.unit() as uow:
            await uow.put(MUTES, [{"stream": stream, "muted_by": by, "muted_at": uow.now}])
            uow.after_commit(lambda: self._become(self.streams | {stream}))
        logger.info("voice muted", extra={"stream": stream, "by": by})

    async def unmute(self, stream: str, *, by: str) -> None:
        """Let a stream be heard again; one that is not muted is ignored."""
        async with self._store.unit() as uow:
            await self._drop(uow, frozenset({stream}))
        logger.info("voice unmuted", extra={"stream": stream, "by": by})

    async def run(self) -> None:
        """Forget what is over, for ever; raises StoreAwayError, and may be run again."""
        while True:
            await self._some.wait()
            await self.tidy()
            await self._clock.sleep(TIDY_S)

    async def tidy(self) -> None:
        """Forget what is over once."""
        if not self._over():
            return
        async with self._store.unit() as uow:
            over = self._over()  # somebody may have come again, or been muted again, while this unit waited
            await self._drop(uow, over)
        if over:
            logger.info("mutes are over", extra={"streams": ",".join(sorted(over))})

    def _over(self) -> frozenset[str]:
        return self._lasting.over(self.streams, self._stands, self._clock.monotonic())

    async def _drop(self, uow: UnitOfWork, streams: frozenset[str]) -> None:
        await uow.execute(delete(MUTES).where(MUTES.c.stream.in_(sorted(streams))))
        uow.after_commit(lambda: self._become(self.streams - streams))

    def _become(self, streams: frozenset[str]) -> None:
        changed, self.streams = self.streams ^ streams, streams
        (self._some.set if streams else self._some.clear)()
        if changed:
            self._changed(changed)
