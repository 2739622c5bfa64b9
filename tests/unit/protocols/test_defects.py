import random
from dataclasses import replace

import pytest

from protocols.defects import Finding, PictureWatch, featureless, flaw
from protocols.grain import BLOCKS, CELL, Grain
from protocols.picture import PictureFigures, Sample
from protocols.rollcall import CheckResult, Defect

CLEAN = PictureFigures(exact="a", grain=b"", edges=20.0, span=60.0, cast=0.0, stripes=0.0)
NOW_MS = 1_800_000_000_000


def still(at, **changed):
    return Sample(at, changed.pop("mean", 100.0), changed.pop("deviation", 40.0), bytes(range(64)) * 9, **changed)


def moving(at):
    return Sample(at, 100.0, 40.0, random.Random(at).randbytes(576))


def watched(looks, **settings):
    watch = PictureWatch("320623", **settings)
    for sample, figures in looks:
        watch.look(sample, figures, NOW_MS + round(sample.at * 1000))
    return watch


def marked(at, age_s=0.2, code="320623", stopped=False):
    drawn = NOW_MS - round(age_s * 1000) + (0 if stopped else round(at * 1000))
    return replace(CLEAN, mark=(code, drawn & 0xFFFFFFFF))


def test_a_moving_clean_picture_is_good():
    watch = watched((moving(t), CLEAN) for t in range(9))
    assert watch.finding(8) == Finding(CheckResult.GOOD)
    assert watch.scene() is CheckResult.UNKNOWN


def test_nothing_seen_is_lost_and_what_does_not_move_is_unproven():
    assert PictureWatch("320623").finding(0) == Finding(CheckResult.BAD, Defect.LOST)
    assert watched((still(t), CLEAN) for t in range(9)).finding(8) == Finding(CheckResult.UNPROVEN)
    assert watched((still(t), None) for t in range(9)).finding(8) == Finding(CheckResult.UNPROVEN)


def test_black_covered_and_a_view_without_edges():
    black = watched([(still(0, mean=16.0, deviation=1.0), CLEAN)])
    assert black.finding(0) == Finding(CheckResult.BAD, Defect.BLACK)
    flat = watched([(still(0, deviation=1.0), CLEAN)])
    assert flat.finding(0) == Finding(CheckResult.BAD, Defect.COVERED)
    hand = watched((moving(t), replace(CLEAN, edges=1.0)) for t in range(9))
    assert hand.finding(8) == Finding(CheckResult.BAD, Defect.COVERED)
    assert not featureless(replace(CLEAN, edges=1.0, mark=("320623", 0)))


def test_the_same_pixels_with_grain_are_frozen_and_without_grain_unproven():
    draw = random.Random(1)
    grain = Grain(bytes(round(draw.gauss(0, 16)) & 0xFF for _ in range(BLOCKS * CELL)))
    looks = [(still(1.5 * n, grain=grain, exact="same"), CLEAN) for n in range(7)]
    assert watched(looks).finding(9.0) == Finding(CheckResult.BAD, Defect.FROZEN)
    smooth = Grain(bytes(BLOCKS * CELL))
    looks = [(still(1.5 * n, grain=smooth, exact="same"), CLEAN) for n in range(7)]
    assert watched(looks).finding(9.0) == Finding(CheckResult.UNPROVEN)


def test_grain_that_comes_back_is_a_replay_although_it_moves():
    draw = random.Random(1)
    grains = [Grain(bytes(round(draw.gauss(0, 16)) & 0xFF for _ in range(BLOCKS * CELL))) for _ in range(4)]
    looks = [(replace(moving(n), grain=grains[n % 4]), CLEAN) for n in range(9)]
    assert watched(looks).finding(8) == Finding(CheckResult.BAD, Defect.REPLAY)


@pytest.mark.parametrize(
    ("figures", "defect"),
    [
        (replace(CLEAN, edges=4.0), Defect.BLURRED),
        (replace(CLEAN, cast=20.0), Defect.COLOUR_CAST),
        (replace(CLEAN, stripes=9.0), Defect.STRIPES),
        (replace(CLEAN, edges=4.0, span=20.0), None),
        (replace(CLEAN, cast=20.0, edges=3.0, stripes=9.0, mark=("320623", 0)), None),
        (CLEAN, None),
    ],
)
def test_flaws_of_one_picture(figures, defect):
    assert flaw(figures) is defect


def test_a_flaw_of_most_looks_is_an_issue_and_one_bad_key_frame_is_none():
    blurred = replace(CLEAN, edges=4.0)
    most = watched((moving(t), blurred if t > 2 else CLEAN) for t in range(9))
    assert most.finding(8) == Finding(CheckResult.ISSUE, Defect.BLURRED)
    once = watched((moving(t), blurred if t == 2 else CLEAN) for t in range(9))
    assert once.finding(8) == Finding(CheckResult.GOOD)


def test_a_clock_that_goes_right_proves_a_picture_that_does_not_move():
    watch = watched((still(t), marked(t)) for t in range(9))
    assert watch.finding(8) == Finding(CheckResult.GOOD)
    assert watch.scene() is CheckResult.GOOD
    assert watch.clock_age_s() == pytest.approx(0.2)


def test_a_clock_of_another_time_is_a_replay_and_a_stopped_one_is_frozen():
    old = watched((moving(t), marked(t, age_s=60)) for t in range(9))
    assert old.finding(8) == Finding(CheckResult.BAD, Defect.REPLAY)
    assert old.scene() is CheckResult.BAD
    stopped = watched((still(t), marked(t, stopped=True)) for t in range(10))
    assert stopped.finding(9) == Finding(CheckResult.BAD, Defect.FROZEN)


def test_a_box_whose_clock_is_wrong_is_not_taken_for_a_recording():
    ahead = watched(((moving(t), marked(t, age_s=-40)) for t in range(9)), clock_off_s=40.0)
    assert ahead.finding(8) == Finding(CheckResult.GOOD)


def test_the_mark_of_another_county_is_a_replay():
    assert watched((moving(t), marked(t, code="320681")) for t in range(9)).finding(8).defect is Defect.REPLAY


def test_the_challenge_number_proves_and_another_number_does_not():
    right = watched(((still(t), replace(CLEAN, challenge="4711")) for t in range(9)), challenge="4711")
    assert right.finding(8) == Finding(CheckResult.GOOD)
    assert right.scene() is CheckResult.GOOD
    wrong = watched(((still(t), replace(CLEAN, challenge="4712")) for t in range(9)), challenge="4711")
    assert wrong.finding(8) == Finding(CheckResult.UNPROVEN)


def test_what_is_demanded_must_be_proven_even_of_a_moving_picture():
    moves = [(moving(t), CLEAN) for t in range(9)]
    assert watched(moves, demanded=True, challenge="4711").finding(8) == Finding(CheckResult.UNPROVEN)
    shown = [(moving(t), replace(CLEAN, challenge="4711")) for t in range(9)]
    assert watched(shown, demanded=True, challenge="4711").finding(8) == Finding(CheckResult.GOOD)
