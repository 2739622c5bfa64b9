"""Every parser that bytes from outside reach: damaged input brings the declared error or a small result.

A longer run, from the root of the tree: `python -m tests.support.fuzz --seconds 600`.
"""

import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.fuzz import Target, damaged, targets

TARGETS = targets()
SLOW = {"sdp": 15, "sdp_answer": 30, "dtls": 30, "wire": 40}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_good_input_passes(target: Target) -> None:
    for seed in target.seeds:
        target.try_one(seed)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_damage_is_refused_or_read(target: Target) -> None:
    @settings(max_examples=SLOW.get(target.name, 150), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False), st.binary(max_size=200))
    @example(random.Random(1), b"")
    def one(chance: random.Random, rubbish: bytes) -> None:
        target.try_one(damaged(target.seeds, chance))
        target.try_one(rubbish)

    one()
