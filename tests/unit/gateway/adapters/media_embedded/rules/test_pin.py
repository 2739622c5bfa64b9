"""Whose packets make a track: strays never take it over, a follower may after a silence."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.pin import QUIET_S, STEADY, Pin


def test_the_first_is_heard_where_none_was_announced() -> None:
    pin = Pin()
    assert pin.takes(5, 1, 0.0)
    assert not pin.takes(7, 2, 0.1)
    assert pin.takes(5, 2, 0.2)


def test_the_announced_one_is_waited_for_and_comes_back_at_once() -> None:
    pin = Pin((5,))
    assert not pin.takes(7, 1, 0.0)
    taken = [pin.takes(7, number, QUIET_S + number / 100) for number in range(STEADY)]
    assert taken == [False] * (STEADY - 1) + [True], "a publisher that sends with another SSRC than it said"
    assert pin.takes(5, 900, QUIET_S + 1)
    assert not pin.takes(7, STEADY, QUIET_S + 1)


def test_a_follower_must_be_steady_and_the_track_silent_all_the_while() -> None:
    pin = Pin()
    pin.takes(5, 1, 0.0)
    assert not any(pin.takes(7, number * 1000, QUIET_S + number) for number in range(30)), "numbers jump about"
    assert not any(pin.takes(7 + number % 2, number, 40.0 + number) for number in range(30)), "two by turns"
    assert pin.takes(5, 2, 80.0)
    assert not any(pin.takes(7, number, 80.0 + number / 100) for number in range(30)), "the track speaks"


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF)), max_size=200))
def test_strays_between_the_packets_of_a_speaking_source_change_nothing(strays: list[tuple[int, int]]) -> None:
    pin = Pin((5,))
    for number, (ssrc, sequence) in enumerate(strays):
        assert pin.takes(5, number, number / 15)
        assert pin.takes(ssrc, sequence, number / 15) == (ssrc == 5)
        assert pin.ssrc == 5
