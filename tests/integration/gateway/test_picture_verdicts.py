"""The picture checks on films of a real encoder whose truth is known; the bench asks other seeds and more of them."""

import pytest

from gateway.bench.corpus import scenes
from gateway.bench.verdicts import WITHIN_S, judged

SEEDS = {300: 11, 1000: 12, 3000: 13}
SCENES = {scene.name: scene for scene in scenes()}
NOISE = "noise 2 soft 0.8"


def said(name, kbps):
    return judged(SCENES[name], SEEDS[kbps], kbps, 10.6)


@pytest.mark.parametrize("kbps", [300, 1000, 3000])
def test_a_live_night_room_is_live_at_every_bit_rate(kbps):
    assert said(f"night, {NOISE}", kbps) == ("live", None)


@pytest.mark.parametrize("kbps", [300, 1000, 3000])
def test_a_night_room_without_noise_is_unproven_and_never_frozen(kbps):
    assert said("night, no noise", kbps) == ("unproven", None)


@pytest.mark.parametrize("kbps", [300, 1000])
def test_a_repeated_picture_coded_anew_is_never_live(kbps):
    assert said(f"night repeated anew, {NOISE}", kbps)[0] in {"frozen", "unproven"}


@pytest.mark.parametrize("name", [f"night repeated anew, {NOISE}", "night repeated packets"])
def test_a_repeated_picture_that_can_be_proven_is_frozen_within_ten_seconds(name):
    word, at = said(name, 3000)
    assert word == "frozen"
    assert at is not None
    assert at <= WITHIN_S


@pytest.mark.parametrize(("name", "kbps"), [(f"loop of 4 s anew, {NOISE}", 300), ("loop of 4 s, packets", 1000)])
def test_a_recording_in_a_loop_is_a_replay(name, kbps):
    assert said(name, kbps)[0] == "replay"


def test_a_recording_longer_than_the_watch_passes_no_demanded_number():
    assert said("long recording, number demanded", 1000)[0] == "unproven"


@pytest.mark.parametrize(
    ("name", "kbps"),
    [
        ("black", 300), ("covered", 300), ("hand before the lens", 300), ("blurred", 1000), ("colour cast", 1000),
        ("stripes", 1000), ("day, somebody walks", 1000),
    ],
)  # fmt: skip
def test_defects_have_their_names(name, kbps):
    assert said(name, kbps)[0] == SCENES[name].truth[0]
