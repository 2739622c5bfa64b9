"""Deadlines stay where they are when the wall clock is stepped.

Timers are rows with a wall time, so that a restart finds them. A step would make them ring early or late: it is noticed
by comparing the wall clock with the time since boot, before anybody acts on a timer, and every open deadline moves with
the clock. What stood at the last look is a row too, so that a step while the gateway was down is noticed at its start;
over a reboot nothing can be compared.
"""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, select, type_coerce, update

from gateway.escalation.machine import Phase
from gateway.escalation.tables import clock_marks, runs, timers
from gateway.ports.store import Store, UnitOfWork
from protocols.aio.clock import Clock

logger = logging.getLogger(__name__)
STEP = timedelta(seconds=2)
"""Design section 4, Time: what is larger is a step; what is smaller is how clocks are kept right."""
MARK_AGAIN = timedelta(seconds=0.5)
UNBROKEN_S = 0.5
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MICROSECOND = timedelta(microseconds=1)


def boot_id() -> str:
    """Name this boot of the machine (random(4))."""
    return BOOT_ID.read_text(encoding="ascii").strip()


class Stepping:
    """`begin` in the unit of work of the start, `look` before each look at timers, `within` in units that arm some.

    What a unit arms counts from its own `now`. So a step is carried out by the first unit that lives after it, before
    that unit arms anything: each deadline moves exactly once.
    """

    def __init__(self, clock: Clock, boot: str) -> None:
        self._clock = clock
        self._boot = boot
        self._seen = self._offset()
        self._marked = self._seen

    def _offset(self) -> timedelta:
        """Return how far the wall clock stands from the time since boot; a pause between two readings is no step."""
        while True:
            before = self._clock.monotonic()
            wall = self._clock.now().timestamp()
            if self._clock.monotonic() - before < UNBROKEN_S:
                return timedelta(seconds=wall - before)

    async def begin(self, uow: UnitOfWork) -> None:
        """Compare with what stood at the last look before a restart, and move the deadlines where they differ."""
        known = select(clock_marks.c.offset).where(clock_marks.c.boot == self._boot)
        before = (await uow.execute(known)).scalar_one_or_none()
        self._seen = self._offset()
        if before is not None:
            await self._move(uow, self._seen - before * _MICROSECOND)
        await self._mark(uow, self._seen)

    async def look(self, store: Store) -> None:
        """Notice a step since the last look, and move the deadlines by it."""
        found = self._offset()
        if abs(found - self._seen) > STEP:
            async with store.unit() as uow:
                await self.within(uow)
            return
        self._seen = found
        if abs(found - self._marked) > MARK_AGAIN:
            async with store.unit() as uow:
                await self._mark(uow, found)

    async def within(self, uow: UnitOfWork) -> None:
        """Carry out a step, where this unit lives after it."""
        found = self._offset()
        step = found - self._seen
        if abs(step) <= STEP:
            return
        since_boot = timedelta(seconds=uow.now.timestamp() - self._clock.monotonic())
        if abs(since_boot - self._seen) < abs(since_boot - found):
            return  # it began before the step: what it arms moves with the others afterwards
        await self._move(uow, step)
        await self._mark(uow, found)

    async def _mark(self, uow: UnitOfWork, offset: timedelta) -> None:
        await uow.put(clock_marks, [{"boot": self._boot, "offset": offset // _MICROSECOND}])
        uow.after_commit(lambda: self._remember(offset))

    def _remember(self, offset: timedelta) -> None:
        self._seen = self._marked = offset

    async def _move(self, uow: UnitOfWork, step: timedelta) -> None:
        if abs(step) <= STEP:
            return
        logger.warning(
            "clock stepped, deadlines keep their distance", extra={"seconds": round(step.total_seconds(), 3)}
        )
        await uow.execute(update(timers).values(_moved(step, timers.c.due_at, timers.c.leased_until)))
        times = (runs.c.began_at, runs.c.due_at, runs.c.paused_at, runs.c.kept_due)
        await uow.execute(update(runs).where(runs.c.phase != Phase.DONE.value).values(_moved(step, *times)))


def _moved(step: timedelta, *columns: Column[Any]) -> dict[str, ColumnElement[Any]]:
    # A time is a count of microseconds; what is not set stays so.
    return {column.name: type_coerce(column, BigInteger) + step // _MICROSECOND for column in columns}
