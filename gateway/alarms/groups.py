"""Grouping: many alarms as few lines, so that a storm stays readable. Pure.

**A red alarm is folded with nothing but its own kind at its own centre**; the others are folded step by step, the
mildest first, until the list has at most `limit` lines.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from protocols.alarm import Severity

LIMIT = 40
COARSEST = 3


@dataclass(frozen=True, slots=True)
class Member:
    """What grouping needs of one alarm."""

    id: str
    centre: str
    event_type: str
    severity: int
    headline: str
    acknowledged: bool
    first_raised_at: datetime
    last_observed_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """One line: the alarms of one severity that share `centre` and `event_type`; None stands for several.

    With `within` True the centre stands for all centres below it. `headline` and `id` are those of the newest.
    """

    severity: int
    centre: str | None
    event_type: str | None
    within: bool
    count: int
    unacknowledged: int
    first_raised_at: datetime
    last_observed_at: datetime
    headline: str
    id: str


Key = tuple[int, str | None, str | None, bool]


def grouped(members: Iterable[Member], above: Callable[[str], str | None], limit: int = LIMIT) -> list[Group]:
    """Return the lines, gravest first, then those with unacknowledged alarms, then the newest.

    `above` names the centre above a centre, None at the top.
    """
    kept = list(members)
    steps = dict.fromkeys(Severity, 0)
    lines = _fold(kept, steps, above)
    while len(lines) > limit and (mildest := _next(steps)) is not None:
        steps[mildest] += 1
        lines = _fold(kept, steps, above)
    return sorted(lines, key=_order)


def _order(group: Group) -> tuple[int, bool, float, str]:
    return group.severity, group.unacknowledged == 0, -group.last_observed_at.timestamp(), group.id


def _next(steps: dict[Severity, int]) -> Severity | None:
    """Return the severity to fold next: the mildest that is not yet at its end; red never."""
    return next((s for s in sorted(Severity, reverse=True) if s is not Severity.RED and steps[s] < COARSEST), None)


def _fold(members: Sequence[Member], steps: dict[Severity, int], above: Callable[[str], str | None]) -> list[Group]:
    found: dict[Key, list[Member]] = {}
    for member in members:
        found.setdefault(_key(member, steps[Severity(member.severity)], above), []).append(member)
    return [_group(key, many) for key, many in found.items()]


def _key(member: Member, step: int, above: Callable[[str], str | None]) -> Key:
    match step:
        case 0:
            return member.severity, member.centre, member.event_type, False
        case 1:
            return member.severity, member.centre, None, False
        case 2:
            return member.severity, above(member.centre) or member.centre, None, True
        case _:
            return member.severity, None, None, True


def _group(key: Key, members: Sequence[Member]) -> Group:
    newest = max(members, key=lambda one: (one.last_observed_at, one.id))
    return Group(
        severity=key[0],
        centre=key[1],
        event_type=key[2],
        within=key[3],
        count=len(members),
        unacknowledged=sum(not one.acknowledged for one in members),
        first_raised_at=min(one.first_raised_at for one in members),
        last_observed_at=newest.last_observed_at,
        headline=newest.headline,
        id=newest.id,
    )
