"""When a call was held, or one of its points lent: that time is taken from no point (domain.md 3.4, presence deadline).

Times are UTC. The times of a call's holds are written down, so that a restart neither gives a point its whole time
anew nor lets the time that the call stood still run against it.
"""

from collections.abc import Sequence
from datetime import datetime

Hold = tuple[datetime, datetime | None]
"""From when to when; None: it is held now. Only the last one of a call may be open."""


def held(holds: Sequence[Hold], at: datetime) -> list[Hold]:
    """Return the holds of a call that is held from `at` on; one that is held already stays so."""
    return [*holds] if open_since(holds) is not None else [*holds, (at, None)]


def freed(holds: Sequence[Hold], at: datetime) -> list[Hold]:
    """Return the holds of a call that goes on, or ends, at `at`."""
    since = open_since(holds)
    return [*holds] if since is None else [*holds[:-1], (since, max(at, since))]


def open_since(holds: Sequence[Hold]) -> datetime | None:
    """Return since when a call is held, None while it goes on."""
    return holds[-1][0] if holds and holds[-1][1] is None else None


def stood_still_s(holds: Sequence[Hold], since: datetime) -> float:
    """Return the seconds after `since` in which the call stood still; a hold that is still open counts nothing yet."""
    return sum(
        (until - max(began, since)).total_seconds() for began, until in holds if until is not None and until > since
    )


def went_on_s(holds: Sequence[Hold], since: datetime, now: datetime) -> float:
    """Return the seconds from `since` to `now` in which nothing held it; a hold that is still open counts up to now."""
    return (now - since).total_seconds() - stood_still_s(freed(holds, now), since)


def together(first: Sequence[Hold], second: Sequence[Hold]) -> list[Hold]:
    """Return the times in which either held, none of them twice; of those still open the earlier stays open."""
    joined: list[Hold] = []
    for began, until in sorted([*first, *second], key=lambda hold: hold[0]):
        before = joined[-1] if joined else None
        if before is None or (before[1] is not None and began > before[1]):
            joined.append((began, until))
        elif before[1] is not None:
            joined[-1] = (before[0], None if until is None else max(before[1], until))
    return joined


def told(holds: Sequence[Hold]) -> list[list[str | None]]:
    """Return them as JSON."""
    return [[began.isoformat(), None if until is None else until.isoformat()] for began, until in holds]


def read(rows: Sequence[Sequence[str]]) -> list[Hold]:
    """Return them from JSON."""
    return [(datetime.fromisoformat(began), datetime.fromisoformat(until) if until else None) for began, until in rows]
