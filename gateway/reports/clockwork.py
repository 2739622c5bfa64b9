"""The clocks of reports as rows: started, reminded, stopped. Times survive a restart because they are rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from gateway.ports.store import UnitOfWork
from gateway.reports import deadlines
from gateway.reports.deadlines import Clock, Form, Profile
from gateway.reports.tables import clocks
from protocols.report import Flag, Grade, Grades, ReportKind
from protocols.tiers import Tier


def clock_of(row: Row[Any]) -> Clock:
    """Read a clock."""
    form, grade = Form(row.form), Grade(row.grade)
    return Clock(row.rule, row.to, form, grade, row.possible, row.since, row.due, row.article)


async def start(
    uow: UnitOfWork,
    report_id: str,
    version: int,
    profile: Profile,
    tier: Tier,
    grades: Grades,
    flags: tuple[Flag, ...],
    known_at: datetime,
) -> int:
    """Start the clocks that these grades demand and that do not run yet; returns how many."""
    rows = (await uow.execute(select(clocks).where(clocks.c.report_id == report_id))).all()
    known = {(row.rule, row.grade): row for row in rows}
    started = 0
    for clock in deadlines.clocks(profile, tier, grades, flags, known_at):
        row = known.get((clock.rule, int(clock.grade)))
        if row is None:
            await uow.execute(insert(clocks), [_values(report_id, version, clock)])
            started += 1
        elif row.possible and not clock.possible:
            await uow.execute(update(clocks).where(clocks.c.id == row.id).values(possible=False))
    return started


def _values(report_id: str, version: int, clock: Clock) -> dict[str, Any]:
    return {
        "report_id": report_id,
        "version": version,
        "rule": clock.rule,
        "to": clock.to,
        "form": clock.form.value,
        "grade": int(clock.grade),
        "possible": clock.possible,
        "since": clock.since,
        "due": clock.due,
        "article": clock.article,
        "told": 0,
        "next_at": clock.at(deadlines.REMINDERS[0]),
    }


async def remind(uow: UnitOfWork) -> list[tuple[str, Clock, int]]:
    """Give the reminders that are due, each once, and stamp what is late; returns report, clock and percent."""
    due = select(clocks).where(clocks.c.stopped_at.is_(None), clocks.c.next_at <= uow.now)
    given: list[tuple[str, Clock, int]] = []
    for row in (await uow.execute(due)).all():
        clock = clock_of(row)
        percent = deadlines.reminder(clock, row.told, uow.now)
        if percent is None:
            continue
        values: dict[str, Any] = {"told": percent, "next_at": deadlines.next_look(clock, percent)}
        if percent == 100:
            values["late_at"] = uow.now
        await uow.execute(update(clocks).where(clocks.c.id == row.id).values(**values))
        given.append((row.report_id, clock, percent))
    return given


async def stop_written(
    uow: UnitOfWork, report_id: str, version: int, kind: ReportKind, at: datetime, *, own: Tier, addressee: Tier
) -> Sequence[Row[Any]]:
    """Stop what a delivered version satisfies; returns the clocks that it stopped."""
    forms = (Form.WRITTEN.value,) if kind is ReportKind.INITIAL else (Form.WRITTEN.value, Form.FOLLOWUP.value)
    open_ = (clocks.c.report_id == report_id, clocks.c.stopped_at.is_(None), clocks.c.form.in_(forms))
    rows = (await uow.execute(select(clocks).where(*open_, clocks.c.version <= version))).all()
    met = [row for row in rows if deadlines.reaches(row.to, own, addressee)]
    await _stop(uow, met, version, at)
    return met


async def stop_phone(
    uow: UnitOfWork, report_id: str, to: str, at: datetime, *, own: Tier, addressee: Tier | None
) -> Sequence[Row[Any]]:
    """Stop what a telephone call that somebody answered satisfies; `addressee` None: the own government."""
    open_ = (clocks.c.report_id == report_id, clocks.c.stopped_at.is_(None), clocks.c.form == Form.PHONE.value)
    rows = (await uow.execute(select(clocks).where(*open_))).all()
    if addressee is None:
        met = [row for row in rows if row.to == to]
    else:
        met = [row for row in rows if deadlines.reaches(row.to, own, addressee)]
    await _stop(uow, met, 0, at)
    return met


async def _stop(uow: UnitOfWork, rows: Sequence[Row[Any]], version: int, at: datetime) -> None:
    for row in rows:
        values: dict[str, Any] = {"stopped_at": at, "stopped_by": version, "next_at": None}
        if at > row.due and row.late_at is None:
            values["late_at"] = uow.now
        await uow.execute(update(clocks).where(clocks.c.id == row.id).values(**values))


async def start_next_day(uow: UnitOfWork, profile: Profile, rows: Sequence[Row[Any]], at: datetime) -> None:
    """Start the next clock of each rule that repeats every day, once one of it has stopped."""
    for row in rows:
        after = max(at, row.due)
        due = deadlines.following(profile, row.rule, after)
        if due is None:
            continue
        clock = Clock(row.rule, row.to, Form(row.form), Grade(row.grade), row.possible, after, due, row.article)
        await uow.execute(insert(clocks), [_values(row.report_id, row.version, clock)])
