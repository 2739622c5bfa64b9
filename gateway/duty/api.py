"""HTTP of the duty room."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.duty.machine import DEFAULT_PLAN, Day, Person, Phone, Plan, Shift
from gateway.duty.rules.findings import Finding
from gateway.duty.service import DutyService
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.duty import DutyCurrent, DutyRole, DutyShift, masked, next_shift, on_duty
from protocols.errors import BadInputError
from protocols.ids import CentreCode

PLANNERS = (Role.DUTY_OFFICER, Role.OPERATIONS)
CALLERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER)
"""Who may see phone numbers; each look at them is audited."""
LONGEST = timedelta(days=92)


class CentreDuty(BaseModel):
    """Who is on duty at one centre. `known` False: its roster never came, or says nothing of the present."""

    centre: str
    name: str
    known: bool
    now: tuple[DutyShift, ...]
    next: DutyShift | None


class PersonBody(BaseModel):
    """A person as entered."""

    name: str = Field(min_length=1, max_length=32, pattern=r"^[^、,，;；\s][^、,，;；\n\t]*$")
    post: str = Field(default="", max_length=64)
    role: DutyRole = DutyRole.OFFICER
    phones: tuple[Phone, ...] = Field(default=(), max_length=6)
    valid_from: date
    valid_until: date | None = None
    account: str | None = Field(default=None, max_length=64)


class SeatBody(BaseModel):
    """A person on a seat."""

    person: str = Field(max_length=26)
    role: DutyRole


class DayBody(BaseModel):
    """The people of each shift; `base` is the version that the editor has seen."""

    base: int = Field(ge=0)
    shifts: dict[str, list[SeatBody]] = Field(max_length=6)
    note: str = Field(default="", max_length=200)


class FindingView(BaseModel):
    """One thing that is wrong with a roster."""

    fault: str
    day: date
    shift: str
    person: str
    role: DutyRole | None
    number: float


class DayView(BaseModel):
    """One day in its newest version."""

    day: date
    version: int
    hash: str
    shifts: tuple[Shift, ...]


class DaysView(BaseModel):
    """A stretch of days with what is wrong with them."""

    days: list[DayView]
    findings: list[FindingView]


def routes(service: DutyService) -> APIRouter:
    """Return all routes of the room."""
    api = APIRouter(prefix="/api/v1/duty", tags=["duty"])
    _present(api, service)
    _staff(api, service)
    _roster(api, service)
    return api


def _present(api: APIRouter, service: DutyService) -> None:
    @api.get("")
    async def present(
        _: Annotated[Caller, require(*EVERYBODY)], centre: CentreCode | None = None
    ) -> dict[str, list[CentreDuty]]:
        """Say who is on duty now and next, at one centre or all of the subtree; phones are masked."""
        now = service.needs.clock.now()
        chosen = [one for one in service.needs.area.centres() if centre in (None, one.code)]
        return {"items": [_centre(one.code, one.name, service.record(one.code), now) for one in chosen]}

    @api.get("/{centre}/phones")
    async def phones(centre: CentreCode, caller: Annotated[Caller, require(*CALLERS)]) -> CentreDuty:
        """Show the phone numbers of those on duty; who looked is audited."""
        record = await service.show_phones(centre, by=caller.user)
        name = next((one.name for one in service.needs.area.centres() if one.code == centre), centre)
        return _centre(centre, name, record, service.needs.clock.now(), plain=True)


def _staff(api: APIRouter, service: DutyService) -> None:
    @api.get("/people")
    async def people(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[Person]]:
        """List the staff with masked phones."""
        return {"items": [_masked(one) for one in await service.people()]}

    @api.get("/people/{ident}")
    async def one(ident: str, caller: Annotated[Caller, require(*PLANNERS)]) -> Person:
        """Return one person with phones, to be edited; who looked is audited."""
        found = await service.person(ident)
        await service.note_phones(found.name, by=caller.user)
        return found

    @api.post("/people", status_code=201)
    async def enter(body: PersonBody, _: Annotated[Caller, require(*PLANNERS)]) -> Person:
        """Enter a person."""
        return await service.put_person(None, body.model_dump())

    @api.put("/people/{ident}")
    async def change(ident: str, body: PersonBody, _: Annotated[Caller, require(*PLANNERS)]) -> Person:
        """Change a person; past rosters keep the name of their day."""
        return await service.put_person(await service.person(ident), body.model_dump())

    @api.get("/plan")
    async def plan(_: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, Any]:
        """Return the plan; `made` False means that nobody has put one into force, and shows the usual one."""
        found = await service.plan()
        return {"made": found is not None, "plan": found or DEFAULT_PLAN}

    @api.put("/plan")
    async def set_plan(body: Plan, caller: Annotated[Caller, require(*PLANNERS)]) -> Plan:
        """Put a plan into force: from now on empty shifts are told as alarms."""
        return await service.set_plan(body, by=caller.user)


def _roster(api: APIRouter, service: DutyService) -> None:
    @api.get("/days")
    async def days(
        _: Annotated[Caller, require(*EVERYBODY)],
        first: Annotated[date, Query(alias="from")],
        last: Annotated[date, Query(alias="to")],
    ) -> DaysView:
        """Return the roster of this centre with its findings."""
        check_range(first, last)
        found, wrong = await service.days(first, last)
        return DaysView(days=[day_view(day) for day in found], findings=finding_views(wrong))

    @api.put("/days/{day}")
    async def save(day: date, body: DayBody, caller: Annotated[Caller, require(*PLANNERS)]) -> DaysView:
        """Write the next version of a day; 409 where somebody else was quicker. Findings do not hinder it."""
        wanted = {shift: [(seat.person, seat.role) for seat in seats] for shift, seats in body.shifts.items()}
        await service.save(day, wanted, body.base, by=caller.user, note=body.note)
        found, wrong = await service.days(day, day)
        return DaysView(days=[day_view(one) for one in found], findings=finding_views(wrong))

    @api.get("/days/{day}/versions")
    async def versions(day: date, _: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[dict[str, Any]]]:
        """Return every version of a day with its hash."""
        return {"items": await service.versions(day)}


def check_range(first: date, last: date) -> None:
    """Refuse a stretch that runs backwards or is longer than a quarter; raises BadInputError."""
    if not first <= last <= first + LONGEST:
        raise BadInputError(f"from {first} to {last}: at most {LONGEST.days} days, forwards")


def day_view(day: Day) -> DayView:
    """Return a day in the form of the API."""
    return DayView(day=day.day, version=day.version, hash=day.hash, shifts=day.shifts)


def finding_views(found: Iterable[Finding]) -> list[FindingView]:
    """Return findings in the form of the API."""
    names = FindingView.model_fields
    return [FindingView(**{name: getattr(one, name) for name in names}) for one in found]


def _masked(person: Person) -> Person:
    return person.model_copy(update={"phones": tuple(masked(phone) for phone in person.phones)})


def _centre(code: str, name: str, record: DutyCurrent | None, now: datetime, *, plain: bool = False) -> CentreDuty:
    shifts = on_duty(record, now) if record is not None else ()
    after = next_shift(record, now) if record is not None else None
    if not plain:
        shifts = tuple(_hidden(one) for one in shifts)
        after = _hidden(after) if after is not None else None
    return CentreDuty(centre=code, name=name, known=bool(shifts), now=shifts, next=after)


def _hidden(shift: DutyShift) -> DutyShift:
    people = tuple(
        one.model_copy(update={"phones": tuple(masked(phone) for phone in one.phones)}) for one in shift.people
    )
    return shift.model_copy(update={"people": people})
