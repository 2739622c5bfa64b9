"""Pictures that were seen in an earlier call."""

from datetime import UTC, datetime, timedelta

from gateway.rollcall.rules.recall import LEAST, REST, recalled

NOW = datetime(2026, 5, 1, 8, 30, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)


def test_a_changing_picture_that_comes_back_is_a_recording():
    assert recalled(["a", "b", "c"], {"b": YESTERDAY, "x": NOW}, NOW) == YESTERDAY
    assert recalled(["a", "b", "c"], {"a": NOW - REST, "c": YESTERDAY}, NOW) == YESTERDAY


def test_a_picture_that_stands_still_and_the_same_key_frame_of_two_calls_in_a_row_prove_nothing():
    assert len({"a", "b"}) < LEAST
    assert recalled(["a", "b", "a"], {"a": YESTERDAY}, NOW) is None
    assert recalled(["a", "b", "c"], {"a": NOW - REST + timedelta(seconds=1)}, NOW) is None
    assert recalled(["a", "b", "c"], {}, NOW) is None
