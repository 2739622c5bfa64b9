"""Between the rows of the room and its objects."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, select

from gateway.escalation.machine import Phase, Run, Seen
from gateway.escalation.tables import runs
from gateway.events import AlarmStanding
from gateway.ports.store import Reader, UnitOfWork, Wanted

FIELDS = tuple(field.name for field in fields(Run))


def run_of(row: Row[Any]) -> Run:
    """Read a stored run."""
    values = {name: getattr(row, name) for name in FIELDS}
    values["phase"] = Phase(values["phase"])
    values["before"] = Phase(values["before"]) if values["before"] is not None else None
    return Run(**values)


def row_of(alarm_id: str, run: Run) -> dict[str, Any]:
    """Return the columns of a run."""
    values = {name: getattr(run, name) for name in FIELDS} | {"alarm_id": alarm_id, "phase": run.phase.value}
    values["before"] = run.before.value if run.before is not None else None
    return values


async def load_many(uow: UnitOfWork, alarm_ids: Iterable[str]) -> dict[str, Run]:
    """Do what `load` does inside a unit of work, cheaply for many."""
    (found,) = await uow.find(Wanted(runs, [(alarm_id,) for alarm_id in alarm_ids]))
    return {row.alarm_id: run_of(row) for row in found}


async def load(reader: Reader, alarm_ids: Iterable[str]) -> dict[str, Run]:
    """Return the runs of these alarms, as far as there are any."""
    found = await reader.execute(select(runs).where(runs.c.alarm_id.in_(sorted(alarm_ids))))
    return {row.alarm_id: run_of(row) for row in found}


def seen_of(alarm: AlarmStanding, own: str, *, home: bool) -> Seen:
    """Return what the machine looks at."""
    return Seen(
        opened=alarm.opened,
        severity=alarm.severity,
        active=alarm.active,
        shown=alarm.shown,
        home=home,
        handed=alarm.escalated_to == own,
        acknowledged_at=alarm.acknowledged_at,
        acknowledged_here=alarm.acknowledged_centre == own,
    )
