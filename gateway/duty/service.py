"""The roster: staff, plan, days; who is on duty at every centre of the subtree; empty shifts as alarms.

Everything that follows from the time is computed anew from rows at the next change and after a start, so a kill loses
nothing and tells nothing twice: an alarm and the row that remembers it are one unit of work.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Self

from sqlalchemy import delete, insert, select

from gateway.duty import phrases
from gateway.duty.machine import (
    DEFAULT_PLAN,
    Day,
    Person,
    Plan,
    Shift,
    around,
    blank,
    day_of,
    gaps,
    next_change,
    record_of,
    seated,
)
from gateway.duty.needs import Arrived, DutyNeeds
from gateway.duty.rows import days_of, people_of, person_row, plan_of, write_day
from gateway.duty.rules.findings import Finding, findings
from gateway.duty.tables import CURRENT, DAYS, GAPS, PEOPLE, PLAN
from gateway.events import DutyChanged
from gateway.ports.store import UnitOfWork
from gateway.web.journal import AuditEntry
from protocols.aio.clock import new_ulid
from protocols.aio.tasks import Supervisor
from protocols.alarm import CLEARED, RAISED, AlarmData, Severity
from protocols.duty import DUTY_CURRENT, DutyCurrent, DutyRole, DutyShift, duty_current, on_duty
from protocols.envelope import Event, Lane
from protocols.errors import BadInputError, NotAllowedError, NotFoundError
from protocols.ids import centre_of

logger = logging.getLogger(__name__)
LOOK_S = 1.0
LOOK_AT_LEAST = timedelta(seconds=60)
NEIGHBOURS = timedelta(days=31)
Wanted = Mapping[str, Sequence[tuple[str, DutyRole]]]


class DutyService:
    """The duty room. Use it with `async with`."""

    def __init__(self, needs: DutyNeeds) -> None:
        self._needs = needs
        self._centre = needs.area.own().code
        self._records: dict[str, DutyCurrent] = {}
        self._open_gaps = 0
        self._look_at: datetime | None = None
        self._supervisor = Supervisor("duty", clock=needs.clock)
        self._looking = asyncio.Lock()
        needs.metrics.live("duty_people", self._people_on)
        needs.metrics.live("duty_gaps", lambda: [((), float(self._open_gaps))])

    async def __aenter__(self) -> Self:
        async with self._needs.store.reading() as reader:
            rows = (await reader.execute(select(CURRENT))).mappings().all()
        self._records = {row["centre"]: DutyCurrent.model_validate(row["data"]) for row in rows}
        self._supervisor.start("watch", self._watch)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._supervisor.stop()

    @property
    def needs(self) -> DutyNeeds:
        """What the room stands on, for its other parts."""
        return self._needs

    @property
    def centre(self) -> str:
        """This gateway's own centre."""
        return self._centre

    # Staff and plan.

    async def people(self) -> list[Person]:
        """Return the staff, those who left included."""
        async with self._needs.store.reading() as reader:
            return list((await people_of(reader)).values())

    async def put_person(self, person: Person | None, values: Mapping[str, Any]) -> Person:
        """Enter a person, or change one; raises BadInputError where the dates contradict each other."""
        ident = person.id if person is not None else new_ulid(self._needs.clock)
        made = Person.model_validate({**values, "id": ident})
        if made.valid_until is not None and made.valid_until < made.valid_from:
            raise BadInputError(f"{made.name}: the last day lies before the first")
        async with self._needs.store.unit() as uow:
            await uow.put(PEOPLE, [person_row(made)])
            self.changed(uow)
        return made

    async def person(self, ident: str) -> Person:
        """Return one person; raises NotFoundError."""
        async with self._needs.store.reading() as reader:
            found = (await people_of(reader)).get(ident)
        if found is None:
            raise NotFoundError(f"no person {ident} on the staff list")
        return found

    async def plan(self) -> Plan | None:
        """Return the plan in force, None where there is none yet."""
        async with self._needs.store.reading() as reader:
            return await plan_of(reader)

    async def set_plan(self, plan: Plan, *, by: str) -> Plan:
        """Put a plan into force; days that are planned keep their shifts until they are edited."""
        names = [kind.name for kind in plan.shifts]
        if len(set(names)) != len(names):
            raise BadInputError("two shifts of the plan bear the same name")
        async with self._needs.store.unit() as uow:
            await uow.execute(insert(PLAN), {"plan": plan.model_dump(mode="json"), "by": by, "at": uow.now})
            self.changed(uow)
        return plan

    # Days.

    async def days(self, first: date, last: date) -> tuple[list[Day], list[Finding]]:
        """Return the days and what is wrong with them, judged with their neighbours."""
        async with self._needs.store.reading() as reader:
            plan = await plan_of(reader) or DEFAULT_PLAN
            inside = _range(first, last)
            wide = await days_of(reader, self._centre, _range(first - NEIGHBOURS, last + timedelta(days=2)))
            people = await people_of(reader)
        found = findings(plan, wide, people, day_of(self._needs.clock.now()))
        chosen = [day for day in wide if day.day in inside]
        return chosen, [one for one in found if first <= one.day <= last]

    async def versions(self, day: date) -> list[dict[str, Any]]:
        """Return all versions of a day, the newest first, with their hashes."""
        wanted = select(DAYS).where(DAYS.c.day == day).order_by(DAYS.c.version.desc())
        async with self._needs.store.reading() as reader:
            return [dict(row) for row in (await reader.execute(wanted)).mappings().all()]

    async def save(self, day: date, wanted: Wanted, base: int, *, by: str, note: str = "") -> Day:
        """Write the next version of a day.

        Raises WrongMomentError where another version came meanwhile, BadInputError for an unknown shift or person.
        """
        async with self._needs.store.unit() as uow:
            return await self.save_within(uow, day, wanted, base, by=by, note=note)

    async def save_within(
        self, uow: UnitOfWork, day: date, wanted: Wanted, base: int, *, by: str, note: str = ""
    ) -> Day:
        """Do the same inside a unit of work."""
        plan = await plan_of(uow) or DEFAULT_PLAN
        people = await people_of(uow)
        fresh = blank(plan, self._centre, day)
        strange = set(wanted) - {shift.name for shift in fresh.shifts}
        if strange:
            raise BadInputError(f"the plan has no shift {min(strange)}")
        unknown = {ident for seats in wanted.values() for ident, _ in seats} - set(people)
        if unknown:
            raise BadInputError(f"no person {min(unknown)} on the staff list")
        chosen = {shift: [(people[ident], role) for ident, role in seats] for shift, seats in wanted.items()}
        made = await write_day(uow, seated(fresh, chosen), base, by=by, note=note)
        self.changed(uow)
        return made

    async def replace_within(self, uow: UnitOfWork, day: date, wanted: Wanted, *, by: str) -> Day:
        """Put the named shifts in place of what is there, whatever its version; shifts not named stay."""
        (known,) = await days_of(uow, self._centre, [day])
        kept = {shift.name: [(seat.person, seat.role) for seat in shift.seats] for shift in known.shifts}
        plan = await plan_of(uow) or DEFAULT_PLAN
        names = {kind.name for kind in plan.shifts}
        both = {name: seats for name, seats in {**kept, **wanted}.items() if name in names}
        return await self.save_within(uow, day, both, known.version, by=by, note="import")

    def changed(self, uow: UnitOfWork) -> None:
        """After the commit: look anew at once, and tell the screens."""
        uow.after_commit(self._look_soon)
        uow.tell(DutyChanged(self._centre))

    def _look_soon(self) -> None:
        self._look_at = None

    # Who is on duty, here and below.

    def record(self, centre: str) -> DutyCurrent | None:
        """Return the newest record of a centre, None where none ever came."""
        return self._records.get(centre)

    def records(self) -> Mapping[str, DutyCurrent]:
        """Return the newest record of every centre that has sent one."""
        return self._records

    async def show_phones(self, centre: str, *, by: str) -> DutyCurrent:
        """Return a record with its phones, after writing down who asked; raises NotFoundError."""
        found = self._records.get(centre)
        if found is None:
            raise NotFoundError(f"centre {centre} has sent no roster")
        await self.note_phones(centre, by=by)
        return found

    async def note_phones(self, whose: str, *, by: str) -> None:
        """Write down that somebody was shown phone numbers; on the disk on return."""
        await self._needs.journal.record(AuditEntry(by, "duty.phones", whose, 200))

    async def freeze(self, centres: Sequence[str], at: datetime) -> Mapping[str, Sequence[DutyShift]]:
        """Return whom the roster of each centre names for a moment; a centre that sent none is left away."""
        found = {centre: on_duty(self._records[centre], at) for centre in centres if centre in self._records}
        return {centre: shifts for centre, shifts in found.items() if shifts}

    def check(self, event: Event) -> None:
        """Refuse a record that does not parse or speaks of another centre; raises BadSchemaError, NotAllowedError."""
        if duty_current(event).centre != centre_of(event.source):
            raise NotAllowedError(f"{event.source} may not tell who is on duty elsewhere")

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrived]) -> None:
        """Keep the newest record of each source: by its origin counter, whatever the order of arrival."""
        for arrived in arrivals:
            event, record = arrived.event, duty_current(arrived.event)
            known = (
                await uow.execute(
                    select(CURRENT.c.source, CURRENT.c.origincounter).where(CURRENT.c.centre == record.centre)
                )
            ).one_or_none()
            if known is not None and known.source == event.source and known.origincounter >= event.origincounter:
                continue
            data = record.model_dump(mode="json")
            row = {"centre": record.centre, "source": event.source, "origincounter": event.origincounter}
            await uow.put(CURRENT, [{**row, "data": data, "at": event.time}])
            uow.after_commit(_setter(self._records, record))
            uow.tell(DutyChanged(record.centre))

    # What follows from the time.

    async def _watch(self) -> None:
        while True:
            now = self._needs.clock.now()
            if self._look_at is None or now >= self._look_at or self._look_at > now + LOOK_AT_LEAST:
                await self.look()
            await self._needs.clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Bring the record that travels up and the alarms of empty shifts in line with the roster and the time."""
        async with self._looking:
            now = self._needs.clock.now()
            self._look_at = now + LOOK_AT_LEAST
            async with self._needs.store.reading() as reader:
                planned = await plan_of(reader) is not None
                days = await days_of(reader, self._centre, around(now)) if planned else []
                people = await people_of(reader)
                told = {row.key: row.alarm for row in await reader.execute(select(GAPS))}
            edge = next_change(days, now)
            if edge is not None and self._look_at is not None:
                self._look_at = min(self._look_at, edge)
            wanted = gaps(days, now)
            record = record_of(self._centre, days, people, now)
            if set(wanted) != set(told) or (planned and record != self._records.get(self._centre)):
                await self._bring(wanted, told, record)
            self._open_gaps = len(wanted)

    async def _bring(
        self, wanted: Mapping[str, tuple[Day, Shift]], told: Mapping[str, Any], record: DutyCurrent
    ) -> None:
        async with self._needs.store.unit() as uow:
            for key in sorted(wanted.keys() - told.keys()):
                data = self._alarm(key, *wanted[key], uow.now)
                await uow.execute(insert(GAPS), {"key": key, "alarm": data.model_dump(mode="json")})
                await self._needs.alarms.report_within(uow, RAISED, data)
                logger.warning("shift lacks people", extra={"key": key})
            for key in sorted(told.keys() - wanted.keys()):
                data = AlarmData.model_validate(told[key]).model_copy(update={"observed_at": uow.now})
                await uow.execute(delete(GAPS).where(GAPS.c.key == key))
                await self._needs.alarms.report_within(uow, CLEARED, data)
            if record != self._records.get(self._centre):
                event = uow.mint(DUTY_CURRENT, record.model_dump(mode="json"), subject=self._centre)
                await self._needs.outgoing.emit(uow, event, Lane.LIVE)

    def _alarm(self, key: str, day: Day, shift: Shift, now: datetime) -> AlarmData:
        missing = phrases.missing(shift.missing())
        return AlarmData(
            alarm_key=key,
            centre=self._centre,
            sensor="duty",
            event_type="staff.gap",
            severity=Severity.YELLOW,
            headline=phrases.GAP.format(day=day.day, shift=shift.name, missing=missing),
            detail=phrases.GAP_DETAIL,
            observed_at=now,
        )

    def _people_on(self) -> list[tuple[tuple[str, ...], float]]:
        now = self._needs.clock.now()
        return [
            ((centre,), float(sum(len(shift.people) for shift in on_duty(record, now))))
            for centre, record in self._records.items()
        ]


def _range(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _setter(records: dict[str, DutyCurrent], record: DutyCurrent) -> Callable[[], None]:
    def keep() -> None:
        records[record.centre] = record

    return keep
