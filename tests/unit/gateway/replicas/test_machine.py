"""Leases: who may do what only one replica may do."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.replicas.machine import (
    BEAT_S,
    LEAD,
    TTL_S,
    Lease,
    Tenure,
    branch_of,
    claimed,
    in_force,
    lease_of,
    look,
    preferred,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=TTL_S)


def test_a_free_lease_is_claimed_with_the_first_token():
    assert claimed(None, LEAD, "a", NOW) == Lease(LEAD, "a", 1, LATER)


def test_renewing_keeps_the_token():
    mine = Lease(LEAD, "a", 7, NOW + timedelta(seconds=1))
    assert claimed(mine, LEAD, "a", NOW) == Lease(LEAD, "a", 7, LATER)


def test_a_standing_lease_of_another_is_left_alone():
    assert claimed(Lease(LEAD, "b", 7, NOW + timedelta(microseconds=1)), LEAD, "a", NOW) is None


@pytest.mark.parametrize("holder", ["a", "b"])
def test_one_that_has_run_out_gets_the_next_token(holder):
    assert claimed(Lease(LEAD, holder, 7, NOW), LEAD, "a", NOW) == Lease(LEAD, "a", 8, LATER)


def test_the_fence_lets_through_until_somebody_claims_even_after_the_time():
    lease = Lease(LEAD, "a", 7, NOW - timedelta(days=1))
    assert in_force(lease, "a", 7)
    assert not in_force(lease, "a", 6)
    assert not in_force(lease, "b", 7)
    assert not in_force(None, "a", 7)


def test_branches_go_to_whom_the_hash_names_and_the_lead_to_who_is_first():
    living = ["a", "b"]
    resources = [branch_of(f"3206{n:02d}-box") for n in range(20)]
    first = look({}, [LEAD, *resources], living, "a", NOW)
    assert LEAD in first.mine
    assert set(first.mine) - {LEAD} == {one for one in resources if preferred(one, living) == "a"}
    rows = {one.resource: one for one in first.writes}
    second = look(rows, [LEAD, *resources], living, "b", NOW)
    assert LEAD not in second.mine
    assert set(first.mine) | set(second.mine) == {LEAD, *resources}
    assert 4 <= len(second.mine) <= 16, "the work is shared"


def test_what_a_dead_replica_held_goes_to_the_living_when_its_time_is_over():
    resources = [branch_of(f"3206{n:02d}-box") for n in range(10)]
    rows = {one.resource: one for one in look({}, [LEAD, *resources], ["b"], "b", NOW).writes}
    soon = NOW + timedelta(seconds=TTL_S / 2)
    assert look(rows, [LEAD, *resources], ["a", "b"], "a", soon).mine == {}
    taken = look(rows, [LEAD, *resources], ["a"], "a", LATER)
    assert set(taken.mine) == {LEAD, *resources}
    assert set(taken.mine.values()) == {2}


def test_a_replica_that_comes_is_given_its_share_without_a_pause_and_the_lead_stays():
    resources = [branch_of(f"3206{n:02d}-box") for n in range(20)]
    rows = {one.resource: one for one in look({}, [LEAD, *resources], ["a"], "a", NOW).writes}
    given_away = look(rows, [LEAD, *resources], ["a", "b"], "a", NOW)
    assert LEAD in given_away.mine
    rows |= {one.resource: one for one in given_away.writes}
    shared = {one for one in resources if preferred(one, ["a", "b"]) == "b"}
    assert {one for one, lease in rows.items() if lease.holder == "b"} == shared
    assert all(rows[one].token == 2 and rows[one].stands(NOW) for one in shared)
    assert shared == set(look(rows, [LEAD, *resources], ["a", "b"], "b", NOW).mine)
    assert not shared & set(given_away.mine)


def test_branches_of_gateways_go_with_the_lead():
    assert lease_of("320623-box") == branch_of("320623-box")
    assert lease_of("320623") == LEAD


def test_few_branches_move_when_a_third_comes():
    resources = [branch_of(f"{n:06d}-box") for n in range(300)]
    moved = [one for one in resources if preferred(one, ["a", "b"]) != preferred(one, ["a", "b", "c"])]
    assert all(preferred(one, ["a", "b", "c"]) == "c" for one in moved)
    assert 60 <= len(moved) <= 140
    assert preferred("x", []) is None


def test_a_pause_ends_the_tenure_without_a_word():
    tenure = Tenure()
    assert tenure.held(0.0) == frozenset()
    tenure.renewed({LEAD: 3}, 100.0)
    assert tenure.token(LEAD, 100.0 + TTL_S - 0.1) == 3
    assert tenure.token(LEAD, 100.0 + TTL_S) is None
    assert tenure.held(100.0 + TTL_S) == frozenset()
    assert tenure.token("other", 100.0) is None


@given(st.integers(0, 2**32))
def test_two_never_act_under_one_lease_whatever_is_paused_and_whose_clock_is_wrong(seed):
    """Replicas look, are paused between looking and acting, and their clocks are off: the fence admits one owner."""
    chance = random.Random(seed)
    rows: dict[str, Lease] = {}
    tokens: dict[str, int | None] = {"a": None, "b": None, "c": None}
    offset = {one: chance.uniform(-30, 30) for one in tokens}
    now = NOW
    owners: dict[int, str] = {}
    for _ in range(200):
        now += timedelta(seconds=chance.expovariate(1 / BEAT_S))
        who = chance.choice(sorted(tokens))
        if chance.random() < 0.5:
            seen = now + timedelta(seconds=offset[who])
            outcome = look(rows, [LEAD], [who], who, seen)
            rows |= {one.resource: one for one in outcome.writes}
            tokens[who] = outcome.mine.get(LEAD)
        acting = [one for one, token in tokens.items() if token is not None and in_force(rows.get(LEAD), one, token)]
        assert len(acting) <= 1
        for one in acting:
            assert owners.setdefault(tokens[one], one) == one, "a token belongs to one replica for ever"
