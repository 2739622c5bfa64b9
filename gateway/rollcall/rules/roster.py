"""Who should be there against who is: the roster frozen when the call began (domain.md 3.5 rows 6, 7; scenario 6).

An approved swap is a new version of the roster's day, so the frozen one already names the substitute. **What is
written into the roster after the freeze changes nothing**: version and hash of what was compared stay with the point.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocols.command import RosterName
from protocols.duty import DutyRole, DutyShift
from protocols.rollcall import CheckName, CheckResult

REQUIRED = 2
"""People at post where the roster says nothing (domain.md 3.5 row 7)."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Whom the roster of one centre names for the moment of the call; empty where it says nothing."""

    leaders: tuple[str, ...] = ()
    officers: tuple[str, ...] = ()
    required: int | None = None
    version: int = 0
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One finding: the check, its result, and why, as a name of `phrases.ISSUES` ("" where there is nothing to say)."""

    check: CheckName
    result: CheckResult
    issue: str = ""


def freeze(shifts: Sequence[DutyShift]) -> Frozen:
    """Take whom the standing shifts name; leaders by role, everybody else but stand-by people as officers."""
    if not shifts:
        return Frozen()
    people = [person for shift in shifts for person in shift.people]
    leaders = _names(person.name for person in people if person.role is DutyRole.LEADER)
    at_post = (DutyRole.CHIEF, DutyRole.OFFICER, DutyRole.TECHNICIAN)
    officers = _names(person.name for person in people if person.role in at_post)
    lacking = sum(count for shift in shifts for role, count in shift.missing.items() if role is not DutyRole.ONCALL)
    newest = max(shifts, key=lambda shift: (shift.starts_at, shift.version))
    return Frozen(leaders, officers, len(leaders) + len(officers) + lacking, newest.version, newest.hash)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def plain(frozen: Frozen) -> dict[str, Any]:
    """Return it as JSON, for the point's row."""
    return {
        "leaders": list(frozen.leaders),
        "officers": list(frozen.officers),
        "required": frozen.required,
        "version": frozen.version,
        "hash": frozen.hash,
    }


def read(row: Mapping[str, Any] | None) -> Frozen:
    """Read what `plain` wrote; None: nothing was frozen."""
    if row is None:
        return Frozen()
    return Frozen(tuple(row["leaders"]), tuple(row["officers"]), row["required"], row["version"], row["hash"])


def names_of(row: Mapping[str, Any] | None) -> tuple[RosterName, ...]:
    """Return whom the county's answer page may offer: leaders first, without phones."""
    frozen = read(row)
    leaders = (RosterName(name=name, role=DutyRole.LEADER) for name in frozen.leaders)
    return (*leaders, *(RosterName(name=name, role=DutyRole.OFFICER) for name in frozen.officers))


def compare(frozen: Frozen, leader: str, count: int | None) -> tuple[Found, Found]:
    """Compare the roster with the leader who answered ("" : nobody said) and the number of people at post."""
    return _leader(frozen, leader.strip()), _count(frozen, count)


def _leader(frozen: Frozen, leader: str) -> Found:
    if not leader:
        return Found(CheckName.LEADER, CheckResult.UNKNOWN)
    if not frozen.leaders:
        return Found(CheckName.LEADER, CheckResult.UNPROVEN, "no_roster")
    if _same(leader, frozen.leaders):
        return Found(CheckName.LEADER, CheckResult.GOOD)
    return Found(CheckName.LEADER, CheckResult.ISSUE, "other_leader")


def _same(name: str, names: Iterable[str]) -> bool:
    def bare(text: str) -> str:
        return "".join(text.split())

    return bare(name) in {bare(one) for one in names}


def _count(frozen: Frozen, count: int | None) -> Found:
    if count is None:
        return Found(CheckName.HEADCOUNT, CheckResult.UNKNOWN)
    if count < (frozen.required if frozen.required is not None else REQUIRED):
        return Found(CheckName.HEADCOUNT, CheckResult.ISSUE, "too_few")
    return Found(CheckName.HEADCOUNT, CheckResult.GOOD)
