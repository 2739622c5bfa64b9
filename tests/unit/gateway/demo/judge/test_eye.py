"""The judge's eye and ear: what it reads out of pixels and samples."""

from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from gateway.demo.judge.eye import Look, loudest_hz, read_mark
from protocols.aio.testcard import TestCard
from protocols.testmark import Mark

RATE = 48000


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return 8000 * np.sin(2 * np.pi * hz * np.arange(int(RATE * seconds)) / RATE)


@pytest.mark.parametrize("hz", [500, 740, 1480])
def test_a_tone_is_heard(hz):
    assert loudest_hz(tone(hz), RATE) == pytest.approx(hz, abs=2)


def test_neither_silence_nor_noise_is_a_tone():
    assert loudest_hz(np.zeros(RATE), RATE) is None
    assert loudest_hz(np.random.default_rng(1).normal(0, 3000, RATE), RATE) is None


def test_the_mark_of_a_card_is_read():
    picture = TestCard("320681", "启东市").draw(datetime(2026, 11, 20, 8, tzinfo=UTC))
    mark = read_mark(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
    assert mark is not None
    assert mark.code == "320681"


def test_no_mark_in_another_picture():
    assert read_mark(np.full((360, 640), 90, np.uint8)) is None
    assert read_mark(np.full((10, 10), 90, np.uint8)) is None


@pytest.mark.parametrize(
    ("mark", "age", "words"),
    [
        (Mark("320681", 0), 120, None),
        (Mark("320682", 0), 120, "shows 320682"),
        (Mark("320681", 0), 9000, "9000 ms old"),
        (None, None, "no mark"),
    ],
)
def test_what_is_untrue_about_a_picture(mark, age, words):
    fault = Look(0.2, 640, 360, mark, age).fault("320681")
    assert (fault is None) if words is None else (words in fault)
