import random

import pytest

from protocols.grain import BLOCKS, CELL, Grain, GrainWatch, compare


def grain(seed, strength=2.0, of=None, share=0.0):
    """Noise of its own; with `of` the share of another grain in it."""
    draw = random.Random(seed)
    own = [draw.gauss(0, 8 * strength) for _ in range(BLOCKS * CELL)]
    if of is not None:
        other = memoryview(of.cells).cast("b")
        own = [share * there + (1 - share) * here for here, there in zip(own, other, strict=True)]
    return Grain(bytes(max(-128, min(127, round(value))) & 0xFF for value in own))


def watched(grains):
    watch = GrainWatch()
    for one in grains:
        watch.look(one)
    return watch


def test_two_grains_of_a_live_sensor_have_nothing_in_common():
    found = compare(grain(1), grain(2))
    assert abs(found.correlation) < 0.1
    assert found.seen


def test_the_same_grain_is_found_again_under_other_noise():
    one = grain(1)
    assert compare(one, one).correlation == pytest.approx(1.0)
    assert compare(one, grain(2, of=one, share=0.6)).correlation > 0.6


def test_where_coding_left_no_grain_nothing_can_be_said():
    assert not compare(grain(1, 0.1), grain(2, 0.1)).seen
    assert not compare(grain(1, 0.1), grain(2)).seen, "the weaker one decides"
    assert compare(Grain(bytes(BLOCKS * CELL)), grain(1)).correlation == 0.0


def test_new_grain_in_each_look_is_life_and_fewer_looks_say_nothing():
    assert watched(grain(n) for n in range(5)).fresh
    assert not watched(grain(n) for n in range(4)).fresh
    assert not watched(grain(n, 0.2) for n in range(8)).fresh


def test_a_repeated_picture_is_never_fresh_whatever_the_coder_adds():
    one = grain(0)
    assert not watched(grain(n, of=one, share=0.4) for n in range(1, 9)).fresh
    assert not watched([one] * 8).fresh


def test_one_picture_of_before_among_new_ones_is_a_recording():
    grains = [grain(n) for n in range(4)]
    watch = watched([*grains, *grains])
    assert watch.recurs
    assert not watch.fresh


def test_a_picture_that_stands_still_is_no_recording():
    assert not watched([grain(0)] * 8).recurs
    assert not watched(grain(n) for n in range(12)).recurs


def test_a_grain_has_its_size():
    with pytest.raises(ValueError, match="bytes"):
        Grain(b"short")
    assert watched([]).seen is False
    assert watched([grain(1)]).seen
