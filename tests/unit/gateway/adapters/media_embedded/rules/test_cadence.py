"""Freezes are counted as webrtc-stats defines them: by the mean of the last 30 frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.cadence import FREEZE_MORE_S, MEAN_OF, Cadence


def steady(count: int, step: float, *, start: float = 0.0) -> tuple[Cadence, float]:
    cadence = Cadence()
    for number in range(count):
        cadence.frame(start + number * step)
    return cadence, start + (count - 1) * step


def test_an_even_picture_has_no_freeze_and_its_rate() -> None:
    cadence, last = steady(100, 0.04)
    assert (cadence.frames, cadence.freezes, cadence.freeze_s) == (100, 0, 0.0)
    assert cadence.rate(last) == pytest.approx(25, abs=1)
    assert cadence.rate(last + 10) == 0


def test_a_pause_of_the_mean_and_150_ms_is_a_freeze_and_a_shorter_one_is_none() -> None:
    cadence, last = steady(40, 0.04)
    cadence.frame(last + 0.04 + FREEZE_MORE_S - 0.005)
    assert cadence.freezes == 0
    cadence, last = steady(40, 0.04)
    cadence.frame(last + 0.04 + FREEZE_MORE_S + 0.005)
    assert (cadence.freezes, round(cadence.freeze_s, 3)) == (1, 0.195)


def test_a_slow_picture_freezes_at_three_times_its_mean() -> None:
    cadence, last = steady(40, 0.5)
    cadence.frame(last + 1.49)
    assert cadence.freezes == 0, "mean + 150 ms is passed, three times the mean is not"
    cadence, last = steady(40, 0.5)
    cadence.frame(last + 1.51)
    assert cadence.freezes == 1


def test_a_pause_that_was_asked_for_is_no_freeze() -> None:
    cadence, last = steady(40, 0.04)
    cadence.key_frame(last)
    cadence.rest()
    cadence.frame(last + 60)
    cadence.key_frame(last + 60)
    assert (cadence.freezes, cadence.key_frames, cadence.key_interval_s) == (0, 2, None)
    cadence.key_frame(last + 62)
    assert cadence.key_interval_s == pytest.approx(2)


@given(st.lists(st.floats(0, 5), max_size=120))
def test_the_mean_is_that_of_the_last_thirty(steps: list[float]) -> None:
    cadence, now = Cadence(), 0.0
    cadence.frame(now)
    lasted: list[float] = []
    freezes, frozen = 0, 0.0
    for step in steps:
        before, now = now, now + step
        cadence.frame(now)
        if lasted:
            window = lasted[-MEAN_OF:]
            mean = sum(window) / len(window)
            limit = max(3 * mean, mean + FREEZE_MORE_S)
            if abs(now - before - limit) < 1e-6:
                return  # too near to the edge for floating point
            if now - before > limit:
                freezes, frozen = freezes + 1, frozen + now - before
        lasted.append(now - before)
    assert (cadence.freezes, cadence.freeze_s) == (freezes, pytest.approx(frozen))
