"""The roster as values: people, the plan of shifts, days with a hash, and what stands at a moment. Pure.

Times are UTC; days and the beginnings of shifts are those of China (UTC+8, without summer time).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from protocols.duty import DutyCurrent, DutyRole, DutyShift, OnDuty

CHINA = timezone(timedelta(hours=8), "CST")
GAP_LEAD = timedelta(hours=2)
"""An empty shift is told this long before it begins."""
RECORD_AHEAD = timedelta(hours=36)
"""How far ahead the record that travels up reaches: a county cut off stays readable above for so long."""
Phone = Annotated[str, StringConstraints(pattern=r"^[0-9+*#() -]{3,24}$")]
ShiftName = Annotated[str, StringConstraints(min_length=1, max_length=16, strip_whitespace=True)]


class Person(BaseModel):
    """Somebody of the centre's staff. `role` is the list he stands on; `account` his login, where he has one."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(max_length=26)
    name: str = Field(min_length=1, max_length=32, pattern=r"^[^、,，;；\s][^、,，;；\n\t]*$")
    post: str = Field(default="", max_length=64)
    role: DutyRole = DutyRole.OFFICER
    phones: tuple[Phone, ...] = Field(default=(), max_length=6)
    valid_from: date
    valid_until: date | None = None
    account: str | None = Field(default=None, max_length=64)

    def valid(self, day: date) -> bool:
        """Tell whether he belongs to the staff on a day (`valid_until` is his last)."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


class ShiftKind(BaseModel):
    """One shift of every day: when it begins (minutes of the day), how long it is, whom it wants."""

    model_config = ConfigDict(frozen=True)

    name: ShiftName
    start: int = Field(ge=0, lt=1440)
    hours: float = Field(gt=0, le=24)
    needs: dict[DutyRole, int] = Field(default_factory=lambda: {DutyRole.LEADER: 1, DutyRole.OFFICER: 2})

    def times(self, day: date) -> tuple[datetime, datetime]:
        """Return beginning and end on a day."""
        begins = datetime(day.year, day.month, day.day, tzinfo=CHINA) + timedelta(minutes=self.start)
        return begins, begins + timedelta(hours=self.hours)


class Plan(BaseModel):
    """The centre's rules: its shifts, holidays with more officers, and the limits for people."""

    model_config = ConfigDict(frozen=True)

    shifts: tuple[ShiftKind, ...] = Field(min_length=1, max_length=6)
    holidays: tuple[date, ...] = Field(default=(), max_length=400)
    holiday_more: int = Field(default=1, ge=0, le=10)
    rest_hours: float = Field(default=12, ge=0, le=72)
    on_hours: float = Field(default=24, ge=1, le=72)
    in_a_row: int = Field(default=2, ge=1, le=31)

    def needs(self, kind: ShiftKind, day: date) -> dict[DutyRole, int]:
        """Return whom a shift wants on a day; a holiday wants more officers."""
        wanted = dict(kind.needs)
        if day in self.holidays:
            wanted[DutyRole.OFFICER] = wanted.get(DutyRole.OFFICER, 0) + self.holiday_more
        return {role: number for role, number in wanted.items() if number > 0}


DEFAULT_PLAN = Plan(shifts=(ShiftKind(name="全天", start=510, hours=24),))
"""Domain, section 6: one leader and two officers, change at 08:30."""


class Seat(BaseModel):
    """A person in a shift, with the name of that day: later changes of the staff do not reach into it."""

    model_config = ConfigDict(frozen=True)

    person: str
    name: str
    post: str = ""
    role: DutyRole


class Shift(BaseModel):
    """A shift of one day, with what was wanted when it was planned."""

    model_config = ConfigDict(frozen=True)

    name: ShiftName
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    needs: dict[DutyRole, int]
    seats: tuple[Seat, ...] = Field(default=(), max_length=40)

    def missing(self) -> dict[DutyRole, int]:
        """Return how many people of each role are wanted and not there."""
        there = Counter(seat.role for seat in self.seats)
        return {role: number - there[role] for role, number in self.needs.items() if number > there[role]}

    def overlaps(self, other: "Shift") -> bool:
        """Tell whether both stand at some moment."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


class Day(BaseModel):
    """One version of one day. Version 0 is a day that nobody has planned."""

    model_config = ConfigDict(frozen=True)

    centre: str
    day: date
    version: int = 0
    previous: str = ""
    shifts: tuple[Shift, ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON; it covers the hash of the version before."""
        return hashlib.sha256(canonical(self)).hexdigest() if self.version else ""


def canonical(day: Day) -> bytes:
    """Return the JSON that the hash is made of: sorted keys, no blanks, UTF-8, times in UTC."""
    plain = day.model_dump(mode="json")
    for shift, told in zip(day.shifts, plain["shifts"], strict=True):
        told["starts_at"], told["ends_at"] = (f"{at.timestamp():.0f}" for at in (shift.starts_at, shift.ends_at))
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def blank(plan: Plan, centre: str, day: date) -> Day:
    """Return a day of the plan with empty shifts."""
    return Day(centre=centre, day=day, shifts=tuple(_shift(plan, kind, day) for kind in plan.shifts))


def _shift(plan: Plan, kind: ShiftKind, day: date) -> Shift:
    begins, ends = kind.times(day)
    return Shift(name=kind.name, starts_at=begins, ends_at=ends, needs=plan.needs(kind, day))


def day_of(at: datetime) -> date:
    """Return the day in China."""
    return at.astimezone(CHINA).date()


def around(at: datetime) -> tuple[date, ...]:
    """Return the days whose shifts can matter for the present and the record."""
    today = day_of(at)
    return tuple(today + timedelta(days=n) for n in range(-1, 3))


def standing(days: Iterable[Day], at: datetime) -> list[tuple[Day, Shift]]:
    """Return the shifts that stand at a moment, the earliest first."""
    found = [(day, shift) for day in days for shift in day.shifts if shift.starts_at <= at < shift.ends_at]
    return sorted(found, key=lambda pair: (pair[1].starts_at, pair[1].name))


def gaps(days: Iterable[Day], at: datetime) -> dict[str, tuple[Day, Shift]]:
    """Return the shifts that stand or begin soon and lack people, by a key that stays the same."""
    return {
        f"duty/{day.day.isoformat()}/{shift.name}": (day, shift)
        for day in days
        for shift in day.shifts
        if shift.starts_at - GAP_LEAD <= at < shift.ends_at and shift.missing()
    }


def next_change(days: Iterable[Day], at: datetime) -> datetime | None:
    """Return the next moment at which a shift begins, ends or must be filled."""
    edges = (
        edge
        for day in days
        for shift in day.shifts
        for edge in (shift.starts_at - GAP_LEAD, shift.starts_at, shift.ends_at)
    )
    return min((edge for edge in edges if edge > at), default=None)


def record_of(centre: str, days: Iterable[Day], people: Mapping[str, Person], at: datetime) -> DutyCurrent:
    """Return what travels up: the shifts that stand and those that begin within `RECORD_AHEAD`."""
    shifts = [
        DutyShift(
            day=day.day,
            name=shift.name,
            starts_at=shift.starts_at,
            ends_at=shift.ends_at,
            people=tuple(_on_duty(seat, people) for seat in shift.seats),
            missing=shift.missing(),
            version=day.version,
            hash=day.hash,
        )
        for day in days
        for shift in day.shifts
        if at < shift.ends_at and shift.starts_at <= at + RECORD_AHEAD
    ]
    return DutyCurrent(centre=centre, shifts=tuple(sorted(shifts, key=lambda one: (one.starts_at, one.name))[:12]))


def _on_duty(seat: Seat, people: Mapping[str, Person]) -> OnDuty:
    known = people.get(seat.person)
    return OnDuty(name=seat.name, role=seat.role, post=seat.post, phones=known.phones if known else ())


def seated(blank_day: Day, wanted: Mapping[str, Sequence[tuple[Person, DutyRole]]]) -> Day:
    """Return the day with people in its shifts; a person sits in a shift once."""
    shifts = []
    for shift in blank_day.shifts:
        seats = {
            person.id: Seat(person=person.id, name=person.name, post=person.post, role=role)
            for person, role in wanted.get(shift.name, ())
        }
        shifts.append(shift.model_copy(update={"seats": tuple(seats.values())}))
    return blank_day.model_copy(update={"shifts": tuple(shifts)})


def substituted(day: Day, shift: str, out: str, person: Person) -> Day | None:
    """Return the day with another person on somebody's seat, None where he does not sit there."""
    target = next((one for one in day.shifts if one.name == shift), None)
    if target is None or out not in {seat.person for seat in target.seats}:
        return None
    seats = tuple(
        Seat(person=person.id, name=person.name, post=person.post, role=seat.role) if seat.person == out else seat
        for seat in target.seats
    )
    shifts = tuple(one.model_copy(update={"seats": seats}) if one is target else one for one in day.shifts)
    return day.model_copy(update={"shifts": shifts})
