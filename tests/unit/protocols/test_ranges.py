"""Ranges behave as sets of integers, whatever the order of additions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ranges import Ranges

pairs = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda one: (one[0], one[0] + one[1])), max_size=12
)


def as_set(items):
    return {n for first, last in items for n in range(first, last + 1)}


@given(pairs, pairs)
def test_as_sets(left, right):
    a, b = Ranges(left), Ranges(right)
    assert set(a.numbers()) == as_set(left)
    assert a.count == len(as_set(left))
    assert a.high == max(as_set(left), default=0)
    assert set(a.minus(b).numbers()) == as_set(left) - as_set(right)
    assert set(a.within(10, 30).numbers()) == {n for n in as_set(left) if 10 <= n <= 30}
    assert set(a.missing().numbers()) == set(range(1, a.high + 1)) - as_set(left)
    assert all((n in a) == (n in as_set(left)) for n in range(1, 75))
    assert Ranges(a.to_list()) == a
    both = a.copy()
    both.merge(b)
    assert set(both.numbers()) == as_set(left) | as_set(right)
    assert set(a.numbers()) == as_set(left), "a copy is independent"


@given(pairs)
def test_compacted(items):
    listed = Ranges(items).to_list()
    assert all(one[1] + 1 < two[0] for one, two in itertools.pairwise(listed))


def test_a_long_link_costs_one_pair():
    ranges = Ranges()
    for n in range(1, 100_000):
        ranges.add(n)
    assert ranges.to_list() == [[1, 99_999]]


@pytest.mark.parametrize("pair", [(0, 1), (3, 2), (-1, 1)])
def test_nonsense_is_refused(pair):
    with pytest.raises(ValueError, match="no range"):
        Ranges().add(*pair)


def test_text_and_key():
    assert repr(Ranges([(1, 2)])) == "Ranges([[1, 2]])"
    with pytest.raises(TypeError):
        hash(Ranges())
