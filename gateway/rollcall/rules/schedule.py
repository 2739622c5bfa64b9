"""When the calls of a plan take place (domain.md 3.1: daily, holidays, flood season, random nights). Pure.

Times of day are those of `Asia/Shanghai`, which has no summer time.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from protocols.ids import CentreCode
from protocols.rollcall import Mode, RollCallKind

CHINA: Final = ZoneInfo("Asia/Shanghai")
WEEK: Final = 7
_CLOCK: Final = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")


def _clock(text: str) -> str:
    if not _CLOCK.match(text):
        raise ValueError("not a time of day such as 08:30")
    return text


Clock = Annotated[str, AfterValidator(_clock)]


class Plan(BaseModel):
    """Calls that come again. `weekdays` 0 Monday to 6; `from_day` and `to_day` bound a holiday or the flood season.

    With `weekly_random` there is no fixed time: so many calls a week between `night_from` and `night_to`, at moments
    that `seed` gives and nobody else knows. `count`: a random call draws so many counties; None: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="", max_length=64)
    kind: RollCallKind = RollCallKind.DAILY
    mode: Mode = Mode.PARALLEL
    times: tuple[Clock, ...] = Field(default=(), max_length=24)
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(default=(0, 1, 2, 3, 4, 5, 6), max_length=7)
    from_day: date | None = None
    to_day: date | None = None
    weekly_random: int = Field(default=0, ge=0, le=7)
    night_from: Clock = "22:00"
    night_to: Clock = "06:00"
    centres: tuple[CentreCode, ...] | None = Field(default=None, max_length=4000)
    count: int | None = Field(default=None, ge=1)
    profile: str = Field(default="default", max_length=32)
    drill: bool = False


def occurrences(plan: Plan, after: datetime, until: datetime, seed: str = "") -> Iterator[datetime]:
    """Yield the moments of `(after, until]`, in order."""
    found: set[datetime] = set()
    day = after.astimezone(CHINA).date() - timedelta(days=WEEK)
    last = until.astimezone(CHINA).date()
    while day <= last:
        if _holds(plan, day):
            found.update(datetime.combine(day, _at(text), CHINA) for text in plan.times)
        if plan.weekly_random and day.weekday() == 0:
            found.update(at for at in _nights(plan, day, seed) if _holds(plan, at.date()))
        day += timedelta(days=1)
    yield from sorted(at for at in found if after < at <= until)


def _holds(plan: Plan, day: date) -> bool:
    begun = plan.from_day is None or day >= plan.from_day
    over = plan.to_day is not None and day > plan.to_day
    return begun and not over and day.weekday() in plan.weekdays


def _nights(plan: Plan, monday: date, seed: str) -> list[datetime]:
    """Return the moments of one week: each on a night of its own."""
    nights = sorted(range(WEEK), key=lambda night: _number(f"{seed}:{monday}:{night}"))[: plan.weekly_random]
    start, end = _at(plan.night_from), _at(plan.night_to)
    found = []
    for night in nights:
        begins = datetime.combine(monday + timedelta(days=night), start, CHINA)
        ends = datetime.combine(begins.date() + timedelta(days=int(end <= start)), end, CHINA)
        minutes = max(1, int((ends - begins).total_seconds() // 60))
        found.append(begins + timedelta(minutes=_number(f"{seed}:{monday}:{night}:minute") % minutes))
    return found


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _at(text: str) -> time:
    return time.fromisoformat(text)
