"""Durable timers: rows with a time, claimed with a lease, and an account of those that nobody acted on.

An act inside the store deletes its timer in its own transaction, so it happens exactly once. An act outside (a message)
leases the timer first: where the process dies before it has noted the result, the lease ends and the act is repeated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, delete, func, or_, select, update

from gateway.escalation.tables import timers
from gateway.ports.store import Reader, Store, UnitOfWork, UtcTime
from protocols.aio.clock import Clock

LATE = timedelta(seconds=5)
"""A timer that has been due for longer and that nobody holds is overdue: somebody should have acted."""

_THESE = delete(timers).where(timers.c.kind == bindparam("of"), timers.c.key.in_(bindparam("those", expanding=True)))
_DUE = select(timers).where(
    timers.c.kind == bindparam("of"),
    timers.c.due_at <= bindparam("now", type_=UtcTime),
    or_(timers.c.leased_until.is_(None), timers.c.leased_until <= bindparam("now", type_=UtcTime)),
)
"""Built once: they run for every alarm, and four times a second where nothing happens."""

_KINDS = (
    select(timers.c.kind)
    .where(
        timers.c.due_at <= bindparam("now", type_=UtcTime),
        or_(timers.c.leased_until.is_(None), timers.c.leased_until <= bindparam("now", type_=UtcTime)),
    )
    .distinct()
)
_LATE = (
    select(func.count())
    .select_from(timers)
    .where(
        timers.c.due_at < bindparam("late", type_=UtcTime),
        ~and_(timers.c.leased_until.is_not(None), timers.c.leased_until > bindparam("late", type_=UtcTime)),
    )
)
LOOK_S = 0.25
"""How often those who act on timers look."""


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer that is due."""

    kind: str
    key: str
    due_at: datetime


async def arm(uow: UnitOfWork, kind: str, key: str, due_at: datetime) -> None:
    """Set the timer, or move it; a lease on it ends."""
    await arm_all(uow, kind, {key: due_at})


async def arm_all(uow: UnitOfWork, kind: str, times: Mapping[str, datetime]) -> None:
    """Set several timers, or move them."""
    rows = [{"kind": kind, "key": key, "due_at": due_at, "leased_until": None} for key, due_at in times.items()]
    await uow.put(timers, rows)


async def disarm(uow: UnitOfWork, kind: str, keys: Sequence[str]) -> None:
    """Take timers away; those that are not there are fine."""
    if keys:
        await uow.execute(_THESE, {"of": kind, "those": list(keys)})


async def due(
    reader: Reader, kind: str, now: datetime, limit: int, *, first: ColumnElement[Any] | None = None
) -> list[Timer]:
    """Return timers that are due and not leased, the oldest first; `first`, a constant, is what comes before age."""
    rows = await reader.execute(_due(first), {"of": kind, "now": now, "most": limit})
    return [Timer(row.kind, row.key, row.due_at) for row in rows]


@cache
def _due(first: ColumnElement[Any] | None) -> Select[Any]:
    order = (timers.c.due_at,) if first is None else (first, timers.c.due_at)
    return _DUE.order_by(*order).limit(bindparam("most", type_=Integer))


async def take(uow: UnitOfWork, timer: Timer) -> bool:
    """Delete a timer that is still due as it was; False where it was moved or taken meanwhile."""
    mine = (timers.c.kind == timer.kind, timers.c.key == timer.key, timers.c.due_at == timer.due_at)
    return (await uow.execute(delete(timers).where(*mine))).rowcount == 1


async def lease(uow: UnitOfWork, timer: Timer, until: datetime) -> bool:
    """Hold a timer for an act outside the store; False where somebody else holds or has taken it."""
    free = or_(timers.c.leased_until.is_(None), timers.c.leased_until <= uow.now)
    mine = (timers.c.kind == timer.kind, timers.c.key == timer.key, timers.c.due_at == timer.due_at, free)
    return (await uow.execute(update(timers).where(*mine).values(leased_until=until))).rowcount == 1


async def overdue(reader: Reader, now: datetime) -> int:
    """Count timers that are due for longer than `LATE` and that nobody holds."""
    return int((await reader.execute(_LATE, {"late": now - LATE})).scalar_one())


class Watch:
    """Tells which kinds have a timer that is due: one reading for all who look within a quarter of a second.

    Mostly nothing is due, and a reading for each kind and each look was a third of what an idle gateway did.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._read_at = float("-inf")
        self._kinds: frozenset[str] = frozenset()

    async def due(self, *kinds: str) -> bool:
        """Tell whether a timer of these kinds is due, as it was `LOOK_S` ago at most."""
        now = self._clock.monotonic()
        if now - self._read_at >= LOOK_S:
            self._read_at = now
            async with self._store.reading() as reader:
                rows = await reader.execute(_KINDS, {"now": self._clock.now()})
                self._kinds = frozenset(row.kind for row in rows)
        return not self._kinds.isdisjoint(kinds)
