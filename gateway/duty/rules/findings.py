"""What is wrong with a roster. Findings never forbid saving: a half-filled month is normal work, shown as such."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from gateway.duty.machine import Day, Person, Plan, Seat, Shift
from protocols.duty import DutyRole

HOLIDAY_AHEAD = timedelta(days=3)
"""Domain, section 6: a holiday's roster is known above three days before."""


class Fault(StrEnum):
    """Name of a finding."""

    MISSING = "missing"
    NOT_LEADER = "not_leader"
    UNKNOWN = "unknown"
    NOT_VALID = "not_valid"
    DOUBLE = "double"
    REST = "rest"
    TOO_LONG = "too_long"
    IN_A_ROW = "in_a_row"
    HOLIDAY_LATE = "holiday_late"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `person` is a name, `number` what the fault counts (people, hours, days)."""

    fault: Fault
    day: date
    shift: str = ""
    person: str = ""
    role: DutyRole | None = None
    number: float = 0


@dataclass(frozen=True, slots=True)
class _Turn:
    day: date
    shift: Shift
    seat: Seat


def findings(plan: Plan, days: Sequence[Day], people: Mapping[str, Person], today: date) -> list[Finding]:
    """Return all findings in the order of days; give the neighbours of a day too, rest is judged across them."""
    found = [one for day in days for one in _of_day(day, people)]
    turns: dict[str, list[_Turn]] = defaultdict(list)
    for day in days:
        for shift in day.shifts:
            for seat in shift.seats:
                turns[seat.person].append(_Turn(day.day, shift, seat))
    for one in turns.values():
        one.sort(key=lambda turn: (turn.shift.starts_at, turn.shift.name))
        found += _of_person(plan, one)
    found += _holidays(plan, days, today)
    return sorted(found, key=lambda one: (one.day, one.shift, one.fault, one.person))


def _of_day(day: Day, people: Mapping[str, Person]) -> Iterable[Finding]:
    for shift in day.shifts:
        for role, number in shift.missing().items():
            yield Finding(Fault.MISSING, day.day, shift.name, role=role, number=number)
        for seat in shift.seats:
            person = people.get(seat.person)
            if person is None:
                yield Finding(Fault.UNKNOWN, day.day, shift.name, seat.name, seat.role)
            elif not person.valid(day.day):
                yield Finding(Fault.NOT_VALID, day.day, shift.name, seat.name, seat.role)
            elif seat.role is DutyRole.LEADER and person.role is not DutyRole.LEADER:
                yield Finding(Fault.NOT_LEADER, day.day, shift.name, seat.name, seat.role)


def _of_person(plan: Plan, turns: Sequence[_Turn]) -> Iterable[Finding]:
    duty = [turn for turn in turns if turn.seat.role is not DutyRole.ONCALL]
    on_since = None
    for index, turn in enumerate(duty):
        before = duty[index - 1] if index else None
        doubled = before is not None and before.shift.overlaps(turn.shift)
        if doubled:
            yield Finding(Fault.DOUBLE, turn.day, turn.shift.name, turn.seat.name, turn.seat.role)
        rest = (turn.shift.starts_at - before.shift.ends_at).total_seconds() / 3600 if before else None
        if on_since is None or rest is None or rest > 0:
            on_since = turn.shift.starts_at
        hours = (turn.shift.ends_at - on_since).total_seconds() / 3600
        if hours > plan.on_hours and not doubled:
            yield Finding(Fault.TOO_LONG, turn.day, turn.shift.name, turn.seat.name, turn.seat.role, round(hours, 1))
        # A shift that follows without a break is one long turn (judged above), not a short rest.
        if rest is not None and 0 < rest < plan.rest_hours:
            yield Finding(Fault.REST, turn.day, turn.shift.name, turn.seat.name, turn.seat.role, round(rest, 1))
    yield from _rows(plan, duty)


def _rows(plan: Plan, duty: Sequence[_Turn]) -> Iterable[Finding]:
    by_day = {turn.day: turn for turn in duty}
    length = 0
    for day in sorted(by_day):
        length = length + 1 if day - timedelta(days=1) in by_day else 1
        if length > plan.in_a_row:
            turn = by_day[day]
            yield Finding(Fault.IN_A_ROW, day, turn.shift.name, turn.seat.name, turn.seat.role, length)


def _holidays(plan: Plan, days: Sequence[Day], today: date) -> Iterable[Finding]:
    for day in days:
        near = today <= day.day <= today + HOLIDAY_AHEAD
        if near and day.day in plan.holidays and (not day.version or any(shift.missing() for shift in day.shifts)):
            yield Finding(Fault.HOLIDAY_LATE, day.day, number=(day.day - today).days)
