"""Storm rules of messages: red is never delayed, mild ones keep a minute's distance, retries end."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.escalation.bundles import RETRY_S, SPACING, bundle_of, release_at, retry_at, slot_at

T0 = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@given(st.integers(-500, 500))
def test_red_leaves_at_once_whatever_left_before(seconds: int) -> None:
    assert release_at(1, T0 + timedelta(seconds=seconds), T0) == T0


@given(st.integers(2, 4), st.integers(0, 500))
def test_mild_ones_keep_a_minutes_distance_and_never_leave_in_the_past(severity: int, ago: int) -> None:
    last = T0 - timedelta(seconds=ago)
    at = release_at(severity, last, T0)
    assert at >= T0
    assert at - last >= SPACING
    assert release_at(severity, None, T0) == T0


def test_groups_differ_by_person_channel_place_kind_and_severity() -> None:
    one = bundle_of("sms", "张三", "320623", "gas", 2)
    assert one != bundle_of("email", "张三", "320623", "gas", 2)
    assert one != bundle_of("sms", "张三", "320623", "gas", 3)


@given(st.lists(st.integers(0, 59), max_size=12), st.integers(1, 5))
def test_a_channel_takes_so_many_a_minute_and_red_ones_always(ago: list[int], limit: int) -> None:
    recent = [T0 - timedelta(seconds=one) for one in ago]
    at = slot_at(recent, limit, 2, T0)
    assert sum(timedelta(0) <= at - one < SPACING for one in recent) < limit
    assert slot_at(recent, limit, 1, T0) == T0


def test_retries_end() -> None:
    waits = [retry_at(attempts, T0) for attempts in range(1, len(RETRY_S) + 2)]
    assert waits[:-1] == [T0 + timedelta(seconds=pause) for pause in RETRY_S]
    assert waits[-1] is None
