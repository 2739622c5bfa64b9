"""When looking at a socket now and then is cheaper than listening to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.rush import Rush


@pytest.mark.parametrize(("gap_s", "rush"), [(0.04, False), (0.005, False), (0.002, True), (0.0001, True)])
def test_a_rush_is_to_be_woken_more_than_250_times_a_second(gap_s: float, rush: bool) -> None:
    watch = Rush()
    assert not watch.on
    for number in range(100):
        watch.woken(50.0 + number * gap_s)
    assert watch.on is rush


def test_a_rush_lasts_while_looks_find_something_and_ends_with_the_datagrams() -> None:
    watch = Rush()
    for number in range(100):
        watch.woken(number / 2000)
    for number in range(100):
        watch.looked(0.05 + number / 500, found=True)
    assert watch.on
    for number in range(20):
        watch.looked(0.25 + number / 500, found=False)
    assert not watch.on


@given(st.lists(st.floats(0, 100), max_size=40))
def test_after_silence_one_datagram_is_no_rush(gaps: list[float]) -> None:
    watch, now = Rush(), 0.0
    for gap in gaps:
        now += gap
        watch.woken(now)
    for _ in range(40):
        now += 1.0
        watch.woken(now)
    assert not watch.on
