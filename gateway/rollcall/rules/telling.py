"""Who hears of a county that was missing, and when many are one incident (domain.md 3.8, last paragraph). Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from protocols.duty import DutyRole, DutyShift
from protocols.rollcall import Cause

AT_COUNTY: Final = (DutyRole.OFFICER, DutyRole.CHIEF, DutyRole.TECHNICIAN, DutyRole.LEADER)
"""Duty phone, site technician and leader of the county."""
HERE: Final = (DutyRole.CHIEF, DutyRole.LEADER)
"""Who leads the duty at the centre that calls."""


ANSWER: Final = (DutyRole.OFFICER, DutyRole.LEADER)
"""Who is asked by telephone to come when a ring brought no answer."""
REPEATED: Final = 2
REPEATED_WITHIN: Final = timedelta(days=7)
"""A county that was missing so often within this time is told to the head of its bureau."""
NOT_THEIRS: Final = frozenset({Cause.LINE, Cause.UPPER_NETWORK, Cause.PLATFORM})
"""Causes that no county answers for (domain.md 3.6, the attribution gate)."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person to be told; `phone` None: the roster names none."""

    name: str
    role: DutyRole
    phone: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """The missing counties: each told for itself, or together as one incident by cause."""

    single: tuple[str, ...]
    incidents: Mapping[Cause, tuple[str, ...]]


def recipients(shifts: Sequence[DutyShift], roles: Sequence[DutyRole]) -> tuple[Recipient, ...]:
    """Return the people of the standing shifts who bear one of the roles, in the order of the roles, each once."""
    found: dict[str, Recipient] = {}
    for role in roles:
        for shift in shifts:
            for person in shift.people:
                if person.role is role:
                    phone = person.phones[0] if person.phones else None
                    found.setdefault(person.name, Recipient(person.name, role, phone))
    return tuple(found.values())


def times_missing(missed: Iterable[tuple[datetime, Cause | None]], now: datetime) -> int:
    """Return how often a county was missing lately for what it answers for; `missed` are times with their causes."""
    return sum(now - REPEATED_WITHIN < at <= now and cause not in NOT_THEIRS for at, cause in missed)


def heads(told: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Return name and phone of the head of each county's bureau, from `320623=张三 13900000000`; the phone may lack."""
    found = {}
    for one in told:
        centre, _, person = one.partition("=")
        name, _, phone = person.strip().rpartition(" ") if any(map(str.isdigit, person)) else (person.strip(), "", "")
        found[centre] = (name.strip() or phone, phone or None)
    return found


def sort(missing: Iterable[tuple[str, Cause | None]], least: int) -> Told:
    """Sort the missing counties: one known cause at `least` of them is an incident, not as many complaints."""
    by_cause: defaultdict[Cause, list[str]] = defaultdict(list)
    single: list[str] = []
    for centre, cause in missing:
        if cause is None or cause is Cause.UNKNOWN:
            single.append(centre)
        else:
            by_cause[cause].append(centre)
    incidents = {cause: tuple(centres) for cause, centres in by_cause.items() if len(centres) >= least}
    single += [centre for cause, centres in by_cause.items() if cause not in incidents for centre in centres]
    return Told(tuple(sorted(single)), incidents)
