"""The clocks of each jurisdiction, and that none is ever taken away or doubled."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reports.deadlines import (
    PROFILES,
    Clock,
    Form,
    clocks,
    following,
    load_profile,
    next_look,
    reaches,
    reminder,
)
from protocols.errors import ConfigError
from protocols.report import Category, Flag, Grade, Grades
from protocols.tiers import Tier

KNOWN = datetime(2026, 3, 1, 1, 10, tzinfo=UTC)  # 09:10 in China
G = Grade


def minutes(profile, tier, grades, flags=()):
    found = clocks(load_profile(profile), tier, grades, flags, KNOWN)
    return {clock.rule: (clock.due - KNOWN) / timedelta(minutes=1) for clock in found}


def test_order_493_reaches_as_far_up_as_the_grade_says():
    iv, iii, ii = (Grades(confirmed=g, possible=g) for g in (G.GENERAL, G.SERIOUS, G.MAJOR))
    own = {"cn.493/own-government": 120}
    assert minutes("cn.493", Tier.COUNTY, iv) == {"cn.493/county-city": 120} | own
    assert minutes("cn.493", Tier.CITY, iv) == own
    assert minutes("cn.493", Tier.CITY, iii) == {"cn.493/city-province": 120} | own
    assert minutes("cn.493", Tier.PROVINCIAL, iii) == own
    assert minutes("cn.493", Tier.PROVINCIAL, ii) == {"cn.493/province-nation": 120} | own


def test_henan_by_grade():
    assert minutes("henan", Tier.COUNTY, Grades(confirmed=G.MAJOR))["henan/phone-15"] == 15
    assert minutes("henan", Tier.COUNTY, Grades(confirmed=G.MAJOR))["henan/written-35"] == 35
    assert minutes("henan", Tier.CITY, Grades(confirmed=G.SERIOUS))["henan/written-60"] == 60
    found = minutes("henan", Tier.COUNTY, Grades(confirmed=G.GENERAL))
    assert found["henan/written-360"] == 360
    assert "henan/daily-8-17" not in found


def test_followups_before_eight_and_seventeen_in_china():
    profile = load_profile("henan")
    found = {c.rule: c.due for c in clocks(profile, Tier.COUNTY, Grades(confirmed=G.SERIOUS), (), KNOWN)}
    assert found["henan/daily-8-17"] == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)  # 17:00
    assert following(profile, "henan/daily-8-17", found["henan/daily-8-17"]) == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    assert following(profile, "henan/phone-15", KNOWN) is None


def test_targets_of_a_county_and_of_nantong():
    assert minutes("county.2018", Tier.COUNTY, Grades())["county.2018/phone-20"] == 20
    assert minutes("county.2018", Tier.COUNTY, Grades())["county.2018/written-40"] == 40
    assert minutes("nantong", Tier.COUNTY, Grades())["nantong/phone-15"] == 15
    assert not load_profile("county.2018").leapfrog


def test_a_possible_grade_runs_its_own_clocks_and_says_so():
    found = clocks(load_profile("cn.493"), Tier.CITY, Grades(confirmed=G.GENERAL, possible=G.SERIOUS), (), KNOWN)
    assert {clock.rule: clock.possible for clock in found} == {
        "cn.493/own-government": False,
        "cn.493/city-province": True,
    }


def test_a_sensitive_mark_runs_the_clocks_of_the_next_grade_but_keeps_the_grade():
    found = clocks(load_profile("cn.493"), Tier.CITY, Grades(confirmed=G.GENERAL), (Flag.PEOPLE,), KNOWN)
    assert ("cn.493/city-province", G.GENERAL) in {(clock.rule, clock.grade) for clock in found}


def test_the_watch_is_thirty_days_and_seven_on_roads_and_for_fires():
    profile = load_profile("nantong")
    assert profile.watch_until(KNOWN, Category.WORK) - KNOWN == timedelta(days=30)
    assert profile.watch_until(KNOWN, Category.FIRE) - KNOWN == timedelta(days=7)
    assert profile.watch_until(KNOWN, Category.TRAFFIC) - KNOWN == timedelta(days=7)


def test_a_profile_has_source_and_date_and_is_refused_before_it():
    for id_ in PROFILES:
        profile = load_profile(id_)
        assert profile.source
        assert profile.effective_from
    with pytest.raises(ConfigError, match="not in force"):
        load_profile("nantong", date(2019, 1, 1))
    with pytest.raises(ConfigError, match="not known"):
        load_profile("cn.494")


def clock(length=100):
    due = KNOWN + timedelta(minutes=length)
    return Clock("r", "upper", Form.WRITTEN, G.GENERAL, False, KNOWN, due, "a")


def test_a_gap_gives_one_reminder_not_three():
    one = clock()
    assert reminder(one, 0, KNOWN + timedelta(minutes=49)) is None
    assert reminder(one, 0, KNOWN + timedelta(minutes=50)) == 50
    assert reminder(one, 0, KNOWN + timedelta(minutes=101)) == 100
    assert next_look(one, 80) == one.due
    assert next_look(one, 100) is None


@given(st.lists(st.integers(0, 300), max_size=30))
def test_each_reminder_comes_once_whatever_the_looks(looks):
    told, given_ = 0, []
    for at in sorted(looks):
        percent = reminder(clock(), told, KNOWN + timedelta(minutes=at))
        if percent is not None:
            given_.append(percent)
            told = percent
    assert given_ == sorted(set(given_))
    assert (100 in given_) == any(at >= 100 for at in looks)


def test_a_higher_addressee_satisfies_a_clock_a_government_only_itself():
    assert reaches("upper", Tier.COUNTY, Tier.CITY)
    assert reaches("city", Tier.COUNTY, Tier.PROVINCIAL)
    assert not reaches("provincial", Tier.COUNTY, Tier.CITY)
    assert not reaches("government", Tier.COUNTY, Tier.NATIONAL)
