"""The clocks of reporting: who must tell whom, in which form, until when, and by which article.

Pure: the profile, the grades and the times come as arguments. **A clock is never taken away**: a new grade adds clocks
and leaves the old ones running. Only a delivery with a receipt stops one.
"""

import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import StrEnum
from importlib.resources import files
from typing import Any

from protocols.errors import ConfigError
from protocols.report import Category, Flag, Grade, Grades, for_speed
from protocols.tiers import ORDER, Tier

CHINA = timezone(timedelta(hours=8))
"""China has one time zone and no summer time."""
REMINDERS = (50, 80, 100)
PROFILES = ("cn.493", "henan", "county.2018", "nantong")


class Form(StrEnum):
    """How somebody must be told."""

    PHONE = "phone"
    WRITTEN = "written"
    FOLLOWUP = "followup"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a profile.

    `who` is a tier, `below` (all but the nation) or `any`; `to` is a tier, `upper` or `government`.
    """

    id: str
    who: str
    to: str
    form: Form
    grades: tuple[int, ...]
    article: str
    minutes: int | None = None
    daily: tuple[time, ...] = ()

    def binds(self, tier: Tier) -> bool:
        """Tell whether a centre of `tier` is the one who must tell."""
        return self.who in {tier.value, "any"} or (self.who == "below" and tier is not Tier.NATIONAL)


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of a jurisdiction, those that it includes first."""

    id: str
    name: str
    source: str
    effective_from: date
    effective_to: date | None
    leapfrog: bool
    rules: tuple[Rule, ...]
    watch_days: int
    watch_days_by: dict[str, int]

    def watch_until(self, known_at: datetime, category: Category) -> datetime:
        """Return until when changed casualties must be reported again (Order 493, article 13)."""
        return known_at + timedelta(days=self.watch_days_by.get(category.value, self.watch_days))


def load_profile(id_: str, on: date | None = None) -> Profile:
    """Read a profile that is shipped with the package; raises ConfigError for an unknown one, or one not in force."""
    if id_ not in PROFILES:
        raise ConfigError(f"reports.profile: {id_!r} is not known; take one of {', '.join(PROFILES)}")
    text = files("gateway.reports").joinpath("profiles", f"{id_}.toml").read_text("utf-8")
    raw = tomllib.loads(text)
    included = [load_profile(other, on) for other in raw.get("includes", ())]
    end = raw.get("effective_to")
    if on is not None and not (raw["effective_from"] <= on and (end is None or on <= end)):
        raise ConfigError(f"reports.profile: {id_} is not in force on {on.isoformat()}; choose another")
    own = tuple(_rule(raw["id"], line) for line in raw.get("clock", ()))
    base = included[0] if included else None
    return Profile(
        id=raw["id"],
        name=raw["name"],
        source=raw["source"],
        effective_from=raw["effective_from"],
        effective_to=end,
        leapfrog=raw["leapfrog"],
        rules=tuple(rule for one in included for rule in one.rules) + own,
        watch_days=raw.get("watch_days", base.watch_days if base else 30),
        watch_days_by=raw.get("watch_days_by", base.watch_days_by if base else {}),
    )


def _rule(profile: str, line: dict[str, Any]) -> Rule:
    return Rule(
        id=f"{profile}/{line['rule']}",
        who=line["who"],
        to=line["to"],
        form=Form(line["form"]),
        grades=tuple(line["grades"]),
        article=line["article"],
        minutes=line.get("minutes"),
        daily=tuple(time.fromisoformat(at) for at in line.get("daily", ())),
    )


@dataclass(frozen=True, slots=True)
class Clock:
    """One obligation. `possible`: only the possible grade demands it. `since` is when it began to run."""

    rule: str
    to: str
    form: Form
    grade: Grade
    possible: bool
    since: datetime
    due: datetime
    article: str

    def at(self, percent: int) -> datetime:
        """Return when so much of the time is used up."""
        return self.since + (self.due - self.since) * percent / 100


def clocks(profile: Profile, tier: Tier, grades: Grades, flags: tuple[Flag, ...], known_at: datetime) -> list[Clock]:
    """Return what `tier` owes from `known_at` on, the earliest first.

    While no number is known the lowest grade is possible: not knowing stops no clock.
    """
    found: dict[str, Clock] = {}
    for grade, possible in ((grades.confirmed, False), (grades.possible or Grade.GENERAL, True)):
        if grade is None:
            continue
        speed = for_speed(grade, flags)
        for rule in profile.rules:
            if rule.binds(tier) and speed in rule.grades and rule.id not in found:
                due = _due(rule, known_at)
                found[rule.id] = Clock(rule.id, rule.to, rule.form, grade, possible, known_at, due, rule.article)
    return sorted(found.values(), key=lambda clock: (clock.due, clock.rule))


def following(profile: Profile, rule_id: str, after: datetime) -> datetime | None:
    """Return the next time of a rule that repeats every day, None for one that does not."""
    rule = next((one for one in profile.rules if one.id == rule_id), None)
    return _next_daily(rule.daily, after) if rule is not None and rule.daily else None


def _due(rule: Rule, since: datetime) -> datetime:
    if rule.minutes is not None:
        return since + timedelta(minutes=rule.minutes)
    return _next_daily(rule.daily, since)


def _next_daily(times: tuple[time, ...], after: datetime) -> datetime:
    local = after.astimezone(CHINA)
    days = (local.date(), local.date() + timedelta(days=1))
    found = [datetime.combine(day, at, CHINA) for day in days for at in times]
    return min(moment for moment in found if moment > local).astimezone(after.tzinfo)


def reminder(clock: Clock, told: int, now: datetime) -> int | None:
    """Return the highest reminder that is due and was not given, None if there is none: a gap gives one, not three."""
    due = [percent for percent in REMINDERS if percent > told and now >= clock.at(percent)]
    return due[-1] if due else None


def next_look(clock: Clock, told: int) -> datetime | None:
    """Return when the next reminder is due, None after the last."""
    left = [percent for percent in REMINDERS if percent > told]
    return clock.at(left[0]) if left else None


def reaches(to: str, own: Tier, addressee: Tier) -> bool:
    """Tell whether a delivery to a centre of tier `addressee` satisfies a clock towards `to`."""
    if to == "government":
        return False
    wanted = ORDER.index(own) - 1 if to == "upper" else ORDER.index(Tier(to))
    return ORDER.index(addressee) <= wanted
