"""Trains, against sorting all of them each time."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.trains import KEPT, TRAINS_S, Trains


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from([1e5, 2e5, 3e5, 4e6]), st.booleans()), max_size=90))
def test_the_last_ones_of_five_seconds_ascending(script: list[tuple[float, float, bool]]) -> None:
    trains, naive, now = Trains(), list[tuple[float, float]](), 0.0
    for gap, rate, clearing in script:
        now += gap
        if clearing and len(naive) > 20:
            trains.clear()
            naive.clear()
        trains.add(rate, now)
        naive = [*naive, (now, rate)][-KEPT:]
        naive = [one for one in naive if now - one[0] <= TRAINS_S]
        assert trains.rates(now) == sorted(one for _, one in naive)
        assert len(trains) == len(naive)
