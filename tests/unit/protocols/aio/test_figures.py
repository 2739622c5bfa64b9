from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from protocols.aio.figures import figures_of, grain_of
from protocols.aio.testcard import TestCard
from protocols.challenge import plate
from protocols.defects import featureless, flaw
from protocols.grain import BLOCKS, CELL


def planes(picture):
    height, width = picture.shape[:2]
    whole = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    quarter = height // 2 * (width // 2)
    flat = whole.reshape(-1)
    luma = flat[: height * width].reshape(height, width)
    rest = flat[height * width :]
    return luma, rest[:quarter].reshape(height // 2, -1), rest[quarter:].reshape(height // 2, -1)


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1920, 1080)])
def test_a_test_card_has_its_mark_and_no_flaw(size):
    now = datetime(2026, 5, 1, 8, 30, tzinfo=UTC)
    card = TestCard("320623", "如东县", width=size[0], height=size[1])
    found = figures_of(*planes(card.draw(now)))
    assert found.mark == ("320623", int(now.timestamp() * 1000) & 0xFFFFFFFF)
    assert flaw(found) is None
    assert not featureless(found)
    assert found.challenge is None


def test_a_number_on_the_card_is_read_beside_the_mark():
    picture = TestCard("320623", "如东县").draw(datetime(2026, 5, 1, tzinfo=UTC))
    for (left, top, right, bottom), level in plate("0815", 640, 360):
        picture[top:bottom, left:right] = level
    found = figures_of(*planes(picture))
    assert found.challenge == "0815"
    assert found.mark is not None


def test_the_same_pixels_have_the_same_name_and_another_pixel_another():
    picture = TestCard("320623", "如东县").draw(datetime(2026, 5, 1, tzinfo=UTC))
    first, again = figures_of(*planes(picture)), figures_of(*planes(picture))
    assert first == again
    changed = [plane.copy() for plane in planes(picture)]
    changed[0][100, 100] ^= 1
    assert figures_of(*changed).exact != first.exact


def test_a_grain_is_what_is_left_without_brightness_and_slope():
    y, x = np.mgrid[0:360, 0:640]
    smooth = (60 + x / 16 + y / 8).astype(np.uint8)
    assert max(abs(value) for value in memoryview(grain_of(smooth)).cast("b")) <= 8, "rounding alone"
    noisy = np.clip(smooth + np.random.default_rng(1).normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
    cells = np.frombuffer(grain_of(noisy), np.int8)
    assert len(cells) == BLOCKS * CELL
    assert 2.5 < cells.std() / 8 < 3.5


def test_tiny_and_uniform_pictures_give_figures_too():
    tiny = figures_of(np.full((16, 16), 80, np.uint8), np.full((8, 8), 128, np.uint8), np.full((8, 8), 128, np.uint8))
    assert tiny.grain == b""
    assert (tiny.cast, tiny.stripes) == (0.0, 0.0)
