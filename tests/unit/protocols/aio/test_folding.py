"""Folding never drops a key, never miscounts, and leaves the last word."""

from hypothesis import given
from hypothesis import strategies as st

from protocols.aio.folding import Foldable, fold

records = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(1, 9)), max_size=40).map(
    lambda rows: [Foldable(n, key, raised, count if raised else 0) for n, (key, raised, count) in enumerate(rows, 1)]
)


@given(records)
def test_every_raise_is_counted_and_the_last_word_stays(owed):
    folded = fold(owed)
    kept = [one for one in owed if one.seq not in folded.by]
    assert sum(folded.raises.get(one.seq, one.raises) for one in kept) == sum(one.raises for one in owed)
    for key in "abc":
        before, after = [one for one in owed if one.alarm == key], [one for one in kept if one.alarm == key]
        assert len(after) <= 3
        if before:
            assert after[-1] == before[-1]
            assert [one for one in before if one.raised][:1] == [one for one in after if one.raised][:1]


@given(records)
def test_voids_name_survivors_and_cover_exactly_what_went(owed):
    folded = fold(owed)
    gone = set()
    for void in folded.voids():
        assert void.by not in folded.by
        gone |= set(range(void.first, void.last + 1))
        assert {folded.by[seq] for seq in range(void.first, void.last + 1)} == {void.by}
    assert gone == set(folded.by)
