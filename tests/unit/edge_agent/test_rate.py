"""The budget of one session: down at once, up slowly, the small layer first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.media.rate import STALE_S, THIN_S, RateControl

BOUNDS = {"main": (100, 800), "thumb": (50, 150)}
BOTH = frozenset(BOUNDS)
MAIN = frozenset({"main"})


def control(**more):
    return RateControl(BOUNDS, sound=False, **more)


def test_nothing_known_is_the_full_rate():
    assert control().targets(BOTH, 0.0) == {"main": 800, "thumb": 150}
    assert control().targets(MAIN, 0.0) == {"main": 800}


def test_an_estimate_lowers_at_once_and_the_small_layer_is_served_first():
    rate = control()
    rate.targets(BOTH, 0.0)
    rate.estimate(500, 0.1)
    assert rate.targets(BOTH, 0.2) == {"main": 300, "thumb": 150}
    rate.estimate(10, 0.3)
    assert rate.targets(BOTH, 0.4) == {"main": 100, "thumb": 50}


def test_it_rises_by_steps_after_the_line_got_better():
    rate = control()
    rate.estimate(200, 0.0)
    assert rate.targets(MAIN, 0.0) == {"main": 180}
    rate.estimate(5000, 0.5)
    first = rate.targets(MAIN, 1.0)["main"]
    assert 180 < first <= 180 * 1.15 + 1
    now, steps = 1.0, 0
    while rate.targets(MAIN, now)["main"] < 800:
        now, steps = now + 1, steps + 1
        rate.estimate(5000, now)
    assert 5 < steps < 15


def test_an_estimate_that_is_not_repeated_is_forgotten():
    rate = control()
    rate.estimate(200, 0.0)
    assert rate.budget_kbps(1.0) == 180
    assert rate.budget_kbps(STALE_S + 0.1) is None


def test_loss_over_a_tenth_lowers_and_clean_reports_raise():
    rate = control()
    rate.loss(0.3, 800, 1.0)
    lowered = rate.targets(MAIN, 1.1)["main"]
    assert lowered == 680
    rate.loss(0.05, 680, 2.0)
    assert rate.targets(MAIN, 2.1)["main"] == lowered
    for second in range(3, 12):
        rate.loss(0.0, 680, second)
    assert rate.budget_kbps(12.0) is None


def test_many_lossy_reports_in_one_second_are_one():
    rate = control()
    for part in range(5):
        rate.loss(0.5, 800, 1.0 + part / 10)
    assert rate.targets(MAIN, 1.5)["main"] == 600


def test_a_standing_queue_lowers_before_anything_is_lost_and_an_empty_one_raises():
    rate = control()
    rate.round_trip(0.04, 800, 0.0)
    rate.round_trip(0.30, 800, 1.0)
    assert rate.targets(MAIN, 1.1) == {"main": 800}
    rate.round_trip(0.35, 800, 2.0)
    assert rate.targets(MAIN, 2.1) == {"main": 680}
    rate.loss(0.0, 680, 3.0)
    assert rate.budget_kbps(3.0) == 680
    rate.round_trip(0.05, 680, 4.0)
    rate.loss(0.0, 680, 5.0)
    assert rate.budget_kbps(5.0) > 700


def test_a_longer_way_is_no_queue_for_ever():
    rate = control()
    rate.round_trip(0.02, 800, 0.0)
    for second in range(1, 200):
        rate.round_trip(0.30, 800, float(second))
        rate.loss(0.0, 800, second + 0.5)
    assert rate.budget_kbps(200.0) is None


def test_a_session_goes_on_at_the_rate_of_the_one_before():
    assert control(start={"main": 200}).targets(MAIN, 5.0) == {"main": 200}


@pytest.mark.parametrize("bounds", [{}, BOUNDS])
def test_a_line_too_thin_for_what_is_sent_is_told_after_a_while(bounds):
    rate = RateControl(bounds, sound=True)
    for tenth in range(int(THIN_S * 10)):
        rate.estimate(500, tenth / 10)
        assert not rate.thin(2000, tenth / 10)
    rate.estimate(500, THIN_S)
    assert rate.thin(2000, THIN_S)
    assert not rate.thin(400, THIN_S + 0.1)
    assert not rate.thin(2000, THIN_S + 0.2)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("estimate"), st.integers(0, 10**7)),
            st.tuples(st.just("loss"), st.floats(0, 1)),
            st.tuples(st.just("targets"), st.sets(st.sampled_from(sorted(BOUNDS)))),
        ),
        max_size=60,
    )
)
def test_targets_never_leave_their_bounds(steps):
    rate = control()
    for number, (what, value) in enumerate(steps):
        now = number * 0.5
        if what == "estimate":
            rate.estimate(value, now)
        elif what == "loss":
            rate.loss(value, 800, now)
        else:
            found = rate.targets(frozenset(value), now)
            assert found.keys() == value
            assert all(BOUNDS[name][0] <= kbps <= BOUNDS[name][1] for name, kbps in found.items())
