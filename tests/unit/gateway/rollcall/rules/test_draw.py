"""The draw can be repeated from its record, and does not depend on the order of the pool."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gateway.rollcall.rules.draw import Draw, order

CODES = st.lists(st.from_regex(r"[0-9]{6}", fullmatch=True), min_size=1, max_size=40, unique=True)


@given(st.text(min_size=1, max_size=64), CODES, st.integers(1, 50))
def test_a_draw_is_proven_by_its_record(seed, pool, count):
    drawn = Draw(seed, tuple(pool), count).drawn
    assert drawn == Draw(seed, tuple(sorted(pool)), count).drawn
    assert len(drawn) == min(count, len(pool))
    assert set(drawn) <= set(pool)


def test_anybody_can_repeat_it_with_a_hash_tool():
    pool = ("320612", "320613", "320614")
    by_hand = sorted(pool, key=lambda code: hashlib.sha256(f"abc:{code}".encode()).hexdigest())
    assert order("abc", pool) == tuple(by_hand)
    assert Draw("abc", pool, 1).commitment == hashlib.sha256(b"abc").hexdigest()


def test_no_county_is_favoured():
    pool = tuple(f"{number:06}" for number in range(8))
    first = [Draw(f"seed {number}", pool, 1).drawn[0] for number in range(4000)]
    assert all(400 < first.count(code) < 600 for code in pool)
