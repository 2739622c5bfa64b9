import random

import pytest

from protocols.challenge import number_of, plate, read


def painted(number, width=640, height=360, ground=90, noise=0, low=16, high=235):
    draw = random.Random(3)
    rows = [[ground] * width for _ in range(height)]
    for (left, top, right, bottom), level in plate(number, width, height):
        for y in range(top, bottom):
            rows[y][left:right] = [high if level > 100 else low] * (right - left)

    def luma(x, y):
        return rows[y][x] + draw.uniform(-noise, noise)

    return luma


@pytest.mark.parametrize("size", [(320, 180), (640, 360), (704, 576), (1920, 1080)])
def test_every_size_reads_back(size):
    for number in ("0000", "0042", "4711", "9999"):
        assert read(*size, painted(number, *size)) == number


def test_noise_and_a_poor_contrast_leave_it_readable():
    assert read(640, 360, painted("3141", noise=25, low=60, high=190)) == "3141"


def test_a_picture_without_a_plate_has_no_number():
    draw = random.Random(5)
    assert read(640, 360, lambda _x, _y: 120) is None
    assert [read(640, 360, lambda _x, _y: draw.randrange(256)) for _ in range(300)] == [None] * 300


def test_a_damaged_plate_is_no_other_number():
    luma = painted("1234")
    for column in range(12):
        left = 640 - (26 + 2 - 4 - column) * 640 / 96
        found = read(640, 360, lambda x, y, a=left: 255 - luma(x, y) if a <= x < a + 640 / 96 else luma(x, y))
        assert found is None, column


def test_digits_are_drawn_inside_the_picture_and_differ():
    boxes = {number: list(plate(number * 4, 640, 360)) for number in "0123456789"}
    assert len({str(shape) for shape in boxes.values()}) == 10
    for shape in boxes.values():
        for (left, top, right, bottom), _ in shape:
            assert 0 <= left < right <= 640
            assert 0 <= top < bottom <= 360


def test_any_draw_gives_four_digits():
    assert number_of(123456) == "3456"
    assert number_of(7) == "0007"
