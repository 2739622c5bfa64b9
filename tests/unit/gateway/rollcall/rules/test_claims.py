"""Who has a county while several tiers ask for it."""

from itertools import permutations

import pytest

from gateway.rollcall.rules.claims import Claim, outranks, standing_of, taken
from protocols.tiers import ORDER, Tier

NATION, PROVINCE, CITY, COUNTY = ORDER
FIRST, SECOND, THIRD = "320612", "320613", "320614"


@pytest.mark.parametrize(("one", "other"), [*permutations(ORDER, 2)])
def test_the_higher_of_two_tiers_outranks_the_other(one: Tier, other: Tier):
    assert outranks(one, other) == (ORDER.index(one) < ORDER.index(other))
    assert outranks(one, other) != outranks(other, one)


@pytest.mark.parametrize("tier", ORDER)
def test_one_tier_takes_nothing_from_itself(tier: Tier):
    assert not outranks(tier, tier)
    assert taken(tier, [FIRST], [Claim(tier, frozenset({FIRST}))]) == frozenset()


def test_a_call_lends_what_higher_tiers_ask_and_nothing_else():
    claims = [Claim(NATION, frozenset({FIRST, "999999"})), Claim(PROVINCE, frozenset({FIRST, SECOND}))]
    centres = [FIRST, SECOND, THIRD]
    assert taken(CITY, centres, claims) == {FIRST, SECOND}
    assert taken(PROVINCE, centres, claims) == {FIRST}
    assert taken(NATION, centres, claims) == frozenset()
    assert taken(CITY, centres, []) == frozenset()


def test_whoever_is_in_no_table_stands_right_above_us():
    assert standing_of(NATION, CITY) is NATION
    assert standing_of(None, CITY) is PROVINCE
    assert standing_of(None, COUNTY) is CITY
    assert standing_of(None, NATION) is NATION
