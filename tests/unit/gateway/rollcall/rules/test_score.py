"""A county loses nothing for what is not its fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rollcall.rules.profiles import Weights
from gateway.rollcall.rules.score import score
from protocols.rollcall import Cause, Check, CheckName, CheckResult, PointState

W = Weights()


def check(name, result, value=None) -> Check:
    return Check(name=name, result=result, value=value, at="2026-05-01T08:30:00+08:00")


def test_all_good_is_a_hundred_and_the_make_up_costs_ten():
    assert score(PointState.PASSED, None, [], W).points == 100
    late = score(PointState.PASSED_LATE, None, [], W)
    assert (late.points, late.lost) == (90, {"late": 10})


def test_issues_cost_half_and_faults_all():
    found = [check(CheckName.SOUND, CheckResult.BAD), check(CheckName.LEADER, CheckResult.ISSUE)]
    assert score(PointState.PASSED_WITH_ISSUES, None, found, W).points == 100 - 20 - 7.5


def test_the_answer_on_todays_work_is_rated_from_nought_to_five():
    assert score(PointState.PASSED, None, [check(CheckName.BUSINESS, CheckResult.GOOD, 3)], W).points == 98


@pytest.mark.parametrize(
    ("cause", "points", "forgiven", "waits"),
    [
        (Cause.LINE, 100, True, False),
        (Cause.UPPER_NETWORK, 100, True, False),
        (Cause.PLATFORM, 100, True, False),
        (Cause.COUNTY_POWER, 100, False, True),
        (Cause.UNKNOWN, 100, False, True),
        (None, 100, False, True),
        (Cause.COUNTY_TERMINAL, 0, False, False),
        (Cause.COUNTY_STAFF, 0, False, False),
    ],
)
def test_the_attribution_gate(cause, points, forgiven, waits):
    found = score(PointState.ABSENT, cause, [], W)
    assert (found.points, found.forgiven, found.waits) == (points, forgiven, waits)
    assert sum(found.lost.values()) == 100, "what it cost is shown either way"


def test_the_review_may_let_a_waiting_deduction_stand():
    assert score(PointState.ABSENT, Cause.COUNTY_POWER, [], W, decided=True).points == 0
    assert score(PointState.ABSENT, Cause.LINE, [], W, decided=True).points == 100


def test_a_late_county_with_a_cut_line_loses_nothing():
    assert score(PointState.FAILED, Cause.LINE, [], W).points == 100
    assert score(PointState.PASSED_LATE, Cause.LINE, [], W).points == 100


@pytest.mark.parametrize("state", [PointState.EXCUSED, PointState.SKIPPED, PointState.RINGING])
def test_what_does_not_count_has_no_score(state):
    assert score(state, None, [], W) is None


@given(
    st.sampled_from([PointState.PASSED, PointState.PASSED_LATE, PointState.FAILED, PointState.ABSENT]),
    st.one_of(st.none(), st.sampled_from(Cause)),
    st.lists(st.builds(check, st.sampled_from(CheckName), st.sampled_from(CheckResult)), max_size=11),
)
def test_a_score_lies_between_nought_and_a_hundred(state, cause, checks):
    assert 0 <= score(state, cause, checks, W).points <= 100
