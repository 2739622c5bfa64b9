"""Durable timers for other rooms: they set a time, and are called when it has come, inside one unit of work.

The timers are rows beside those of the chains, found again after a restart, taken by one process alone, and counted by
the same auditor. A room registers what it does for its kind before the errands run.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from gateway.escalation import timers
from gateway.escalation.timers import LOOK_S, Timer, Watch
from gateway.ports.store import Store, UnitOfWork
from protocols.aio.clock import Clock
from protocols.errors import StoreAwayError

logger = logging.getLogger(__name__)
AT_ONCE = 500
TOGETHER = 50
"""So many acts share one transaction: a storm of timers must not wait for a disk flush each."""
Errand = Callable[[UnitOfWork, str], Awaitable[None]]
"""What a room does when the timer of a key is due."""


class Errands:
    """Run `run` as a supervised task."""

    def __init__(self, store: Store, clock: Clock, watch: Watch | None = None) -> None:
        """`watch` is shared with others who act on timers."""
        self._store = store
        self._clock = clock
        self._watch = watch or Watch(store, clock)
        self._kinds: dict[str, Errand] = {}

    def on(self, kind: str, errand: Errand) -> None:
        """Register what is done for a kind."""
        if kind in self._kinds:
            raise AssertionError(f"two rooms set timers of the kind {kind}")
        self._kinds[kind] = errand

    async def set(self, uow: UnitOfWork, kind: str, key: str, due_at: datetime) -> None:
        """Set a timer, or move it."""
        await timers.arm(uow, kind, key, due_at)

    async def drop(self, uow: UnitOfWork, kind: str, keys: Sequence[str]) -> None:
        """Take timers away."""
        await timers.disarm(uow, kind, keys)

    async def act_due(self) -> int:
        """Act on what is due; returns how many. One that fails stays due, is logged, and is counted by the auditor."""
        async with self._store.reading() as reader:
            now = self._clock.now()
            due = [timer for kind in self._kinds for timer in await timers.due(reader, kind, now, AT_ONCE)]
        for at in range(0, len(due), TOGETHER):
            await self._act(due[at : at + TOGETHER])
        return len(due)

    async def _act(self, due: Sequence[Timer]) -> None:
        try:
            async with self._store.unit() as uow:
                for timer in due:
                    if await timers.take(uow, timer):
                        await self._kinds[timer.kind](uow, timer.key)
        except StoreAwayError:
            raise  # all of them wait for the database, and one line says so
        except Exception:
            if len(due) == 1:
                logger.exception("errand failed", extra={"kind": due[0].kind, "key": due[0].key})
                return
            # One that fails must not hold up the others.
            for timer in due:
                await self._act([timer])

    async def run(self) -> None:
        """Act for ever."""
        while True:
            if await self._watch.due(*self._kinds):
                await self.act_due()
            await self._clock.sleep(LOOK_S)
