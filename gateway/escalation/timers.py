"""Durable timers: rows with a time, claimed with a lease, and an account of those that nobody acted on.

An act inside the store deletes its timer in its own transaction, so it happens exactly once. An act outside (a message)
leases the timer first: where the process dies before it has noted the result, the lease ends and the act is repeated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from gateway.escalation.tables import timers
from gateway.ports.store import Reader, UnitOfWork

LATE = timedelta(seconds=5)
"""A timer that has been due for longer and that nobody holds is overdue: somebody should have acted."""


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
        await uow.execute(delete(timers).where(timers.c.kind == kind, timers.c.key.in_(list(keys))))


async def due(
    reader: Reader, kind: str, now: datetime, limit: int, *, first: ColumnElement[Any] | None = None
) -> list[Timer]:
    """Return timers that are due and not leased, the oldest first; `first` is what comes before age."""
    free = or_(timers.c.leased_until.is_(None), timers.c.leased_until <= now)
    wanted = select(timers).where(timers.c.kind == kind, timers.c.due_at <= now, free)
    order = (timers.c.due_at,) if first is None else (first, timers.c.due_at)
    rows = await reader.execute(wanted.order_by(*order).limit(limit))
    return [Timer(row.kind, row.key, row.due_at) for row in rows]


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
    held = and_(timers.c.leased_until.is_not(None), timers.c.leased_until > now - LATE)
    late = select(func.count()).select_from(timers).where(timers.c.due_at < now - LATE, ~held)
    return int((await reader.execute(late)).scalar_one())
