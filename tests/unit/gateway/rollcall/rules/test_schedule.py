"""When a plan's calls take place, in Chinese time."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.rollcall.rules.schedule import CHINA, Plan, occurrences
from protocols.rollcall import RollCallKind

MONDAY = datetime(2026, 6, 1, tzinfo=CHINA)


def days(plan, start=MONDAY, length=7, seed="s"):
    return list(occurrences(plan, start, start + timedelta(days=length), seed))


def test_daily_at_fixed_times_in_chinese_time():
    found = days(Plan(times=("08:30", "20:00")), length=2)
    assert [at.astimezone(UTC).strftime("%d %H:%M") for at in found] == [
        "01 00:30", "01 12:00", "02 00:30", "02 12:00",
    ]  # fmt: skip


def test_only_on_the_days_of_the_season():
    flood = Plan(kind=RollCallKind.FLOOD, times=("09:00",), from_day=date(2026, 6, 3), to_day=date(2026, 6, 4))
    assert [at.day for at in days(flood)] == [3, 4]
    assert [at.weekday() for at in days(Plan(times=("09:00",), weekdays=(5, 6)))] == [5, 6]


def test_the_moment_itself_belongs_to_the_span_that_ends_with_it():
    plan = Plan(times=("08:30",))
    at = MONDAY.replace(hour=8, minute=30)
    assert list(occurrences(plan, at, at)) == []
    assert list(occurrences(plan, at - timedelta(seconds=1), at)) == [at]


@given(st.text(max_size=20), st.integers(1, 7), st.integers(0, 200))
def test_random_nights_lie_in_the_night_each_on_its_own(seed, number, week):
    start = MONDAY + timedelta(weeks=week)
    plan = Plan(kind=RollCallKind.RANDOM, weekly_random=number)
    found = list(occurrences(plan, start, start + timedelta(days=8), seed))
    nights = [(at - timedelta(hours=6)).date() for at in found]
    of_this_week = [night for night in nights if start.date() <= night < (start + timedelta(days=7)).date()]
    assert len(of_this_week) == len(set(of_this_week)) == number
    assert all(at.hour >= 22 or at.hour < 6 for at in found)


def test_another_seed_gives_other_nights_and_the_same_seed_the_same():
    plan = Plan(kind=RollCallKind.RANDOM, weekly_random=1)
    assert days(plan, length=8, seed="a") == days(plan, length=8, seed="a")
    assert len({tuple(days(plan, length=8, seed=str(n))) for n in range(20)}) > 10


@pytest.mark.parametrize("wrong", [{"times": ["8:30"]}, {"times": ["24:00"]}, {"weekdays": [7]}, {"colour": 1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Plan(**wrong)
