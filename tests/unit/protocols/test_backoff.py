from hypothesis import given
from hypothesis import strategies as st

from protocols.backoff import Backoff


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_the_delay_is_bounded_for_ever(attempt, chance):
    assert 0.1 <= Backoff().delay(attempt, chance) <= 30.0


def test_the_ceiling_doubles():
    assert [Backoff(base=1, cap=8).delay(n, 0.999999) > 2**n * 0.99 for n in range(3)] == [True, True, True]
