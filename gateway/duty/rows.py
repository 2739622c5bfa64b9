"""Rows of the duty room as values, read inside a reader or a unit of work."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import func, insert, select

from gateway.duty.machine import DEFAULT_PLAN, Day, Person, Plan, blank
from gateway.duty.tables import DAYS, PEOPLE, PLAN
from gateway.ports.store import Reader, UnitOfWork
from protocols.errors import WrongMomentError

_PERSON = tuple(Person.model_fields)


async def people_of(reader: Reader) -> dict[str, Person]:
    """Return all people ever entered, by id."""
    rows = (await reader.execute(select(PEOPLE).order_by(PEOPLE.c.id))).mappings().all()
    return {row["id"]: Person.model_validate({name: row[name] for name in _PERSON}) for row in rows}


def person_row(person: Person) -> dict[str, Any]:
    """Return the columns of a person."""
    return {**person.model_dump(), "role": person.role.value, "phones": list(person.phones)}


async def plan_of(reader: Reader) -> Plan | None:
    """Return the plan in force, None where nobody has made one: the room is then silent."""
    newest = select(PLAN.c.plan).order_by(PLAN.c.number.desc()).limit(1)
    found = (await reader.execute(newest)).scalar_one_or_none()
    return Plan.model_validate(found) if found is not None else None


async def days_of(reader: Reader, centre: str, days: Iterable[date]) -> list[Day]:
    """Return the newest version of each day; a day that nobody planned is blank."""
    wanted = tuple(days)
    plan = await plan_of(reader) or DEFAULT_PLAN
    newest = (
        select(DAYS.c.day, func.max(DAYS.c.version).label("version"))
        .where(DAYS.c.day.in_(wanted))
        .group_by(DAYS.c.day)
        .subquery()
    )
    rows = await reader.execute(
        select(DAYS.c.content).join(newest, (DAYS.c.day == newest.c.day) & (DAYS.c.version == newest.c.version))
    )
    known = {day.day: day for day in (Day.model_validate(content) for content in rows.scalars())}
    return [known.get(day) or blank(plan, centre, day) for day in wanted]


async def write_day(uow: UnitOfWork, day: Day, base: int, *, by: str, note: str = "") -> Day:
    """Add the next version of a day; raises WrongMomentError where `base` is no longer the newest."""
    before = (await days_of(uow, day.centre, [day.day]))[0]
    if before.version != base:
        raise WrongMomentError(f"{day.day} has version {before.version} by now, not {base}; read it anew")
    made = day.model_copy(update={"version": base + 1, "previous": before.hash})
    content = made.model_dump(mode="json")
    row = {"day": made.day, "version": made.version, "content": content, "hash": made.hash}
    await uow.execute(insert(DAYS), {**row, "by": by, "at": uow.now, "note": note})
    return made
