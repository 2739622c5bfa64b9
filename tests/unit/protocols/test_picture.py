import random

from protocols.health import Verdict
from protocols.picture import PictureJudge, Sample, colour_bars


def sample(at, *, seed=None, mean=110.0, deviation=40.0, digest=None, noise=0):
    picture = random.Random(seed or 0)
    grain = random.Random(at)
    thumb = bytes(max(0, min(255, picture.randrange(256) + grain.randint(-noise, noise))) for _ in range(576))
    return Sample(at=at, mean=mean, deviation=deviation, thumb=thumb, digest=digest)


def judged(samples):
    judge = PictureJudge()
    for one in samples:
        judge.look(one)
    return judge.verdict(samples[-1].at)


def test_moving_pictures_are_live():
    assert judged([sample(t, seed=t + 1) for t in range(10)]) is Verdict.LIVE


def test_one_repeated_raw_picture_is_frozen_within_ten_seconds():
    assert judged([sample(t, seed=1, digest=b"same") for t in range(9)]) is Verdict.FROZEN
    assert judged([sample(t, seed=1, digest=b"same") for t in range(7)]) is Verdict.UNPROVEN


def test_a_still_night_room_with_sensor_noise_is_never_frozen():
    raw = [sample(t, seed=1, noise=1, digest=bytes([t])) for t in range(30)]
    assert judged(raw) is Verdict.LIVE


def test_a_still_picture_behind_an_encoder_is_unproven():
    assert judged([sample(t, seed=1, noise=1) for t in range(30)]) is Verdict.UNPROVEN


def test_black_and_covered_are_told_apart():
    assert judged([sample(0, mean=16.5, deviation=1.0)]) is Verdict.BLACK
    assert judged([sample(0, mean=90.0, deviation=2.0)]) is Verdict.COVERED


def test_no_new_sample_means_no_picture():
    judge = PictureJudge()
    assert judge.verdict(0.0) is Verdict.NO_PICTURE
    judge.look(sample(0.0, seed=3))
    assert judge.verdict(3.5) is Verdict.NO_PICTURE


def test_a_picture_that_moves_again_is_live_again():
    judge = PictureJudge()
    for t in range(10):
        judge.look(sample(t, seed=1, digest=b"same"))
    assert judge.verdict(9) is Verdict.FROZEN
    judge.look(sample(10, seed=2, digest=b"other"))
    assert judge.verdict(10) is Verdict.LIVE


def test_what_an_encoder_made_alike_repeats_and_is_not_called_frozen():
    judge = PictureJudge()
    for t in range(12):
        judge.look(sample(t, seed=1))
    assert judge.repeats
    assert judge.verdict(11) is Verdict.UNPROVEN
    judge.look(sample(12, seed=1, noise=1))
    assert not judge.repeats


def striped(levels, noise=0, slope=0):
    grain = random.Random(1)
    row = [levels[column * len(levels) // 32] + slope * column for column in range(32)]
    return bytes(max(0, min(255, level + grain.randint(-noise, noise))) for _ in range(18) for level in row)


def test_colour_bars_are_steps_that_fall_in_every_row():
    assert colour_bars(striped([189, 169, 134, 112, 80, 58, 24], noise=1))
    assert colour_bars(striped([101, 190, 176, 149, 135, 74, 53, 22, 101]))
    assert not colour_bars(striped([24, 58, 80, 112, 134, 169, 189]))
    assert not colour_bars(striped([189, 120, 60, 20]))
    assert not colour_bars(striped([200], slope=-3))
    assert not colour_bars(striped([200], slope=-5))
    assert not colour_bars(bytes(576))
    assert not colour_bars(b"short")
    assert not any(colour_bars(sample(0, seed=seed).thumb) for seed in range(50))


def test_bars_with_noise_are_no_life_and_bars_that_repeat_are_not_called_frozen():
    noisy = [
        Sample(t, 110.0, 50.0, striped([189, 169, 134, 112, 80, 58, 24], noise=1), digest=bytes([t])) for t in range(20)
    ]
    assert judged(noisy) is Verdict.UNPROVEN
    still = [Sample(t, 110.0, 50.0, striped([189, 169, 134, 112, 80, 58, 24]), digest=b"same") for t in range(20)]
    assert judged(still) is Verdict.UNPROVEN
