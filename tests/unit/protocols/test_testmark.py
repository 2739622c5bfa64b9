import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.testmark import COLUMNS, ROWS, blocks, box, decode

CODES = st.integers(0, 999_999).map(lambda n: f"{n:06d}")


def painted(width, height, code, ms, *, contrast=(16, 235)):
    canvas = [[120] * width for _ in range(height)]
    for row, line in enumerate(blocks(code, ms)):
        for column, bit in enumerate(line):
            left, top, right, bottom = box(width, height, row, column)
            for y in range(top, bottom):
                canvas[y][left:right] = [contrast[bit]] * (right - left)
    return canvas


@given(CODES, st.integers(0, 2**42))
def test_blocks_are_three_rows_of_bits(code, ms):
    rows = blocks(code, ms)
    assert [len(row) for row in rows] == [COLUMNS] * ROWS
    assert {bit for row in rows for bit in row} <= {0, 1}


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (320, 180)])
def test_the_mark_is_read_back(size):
    canvas = painted(*size, "320623", 1_795_000_123_456)
    mark = decode(*size, lambda x, y: canvas[y][x])
    assert mark is not None
    assert mark.code == "320623"
    assert mark.age_ms(1_795_000_123_956) == 500


def test_another_picture_has_no_mark():
    assert decode(640, 360, lambda x, y: (x * 7 + y * 13) % 256) is None
    assert decode(640, 360, lambda x, y: 0) is None


def test_a_damaged_block_is_noticed():
    canvas = painted(640, 360, "320623", 1_795_000_123_456)
    left, top, right, bottom = box(640, 360, 0, 12)
    for y in range(top, bottom):
        canvas[y][left:right] = [255 - v for v in canvas[y][left:right]]
    assert decode(640, 360, lambda x, y: canvas[y][x]) is None


def test_age_is_right_over_the_wrap():
    canvas = painted(640, 360, "000000", (1 << 32) - 100)
    mark = decode(640, 360, lambda x, y: canvas[y][x])
    assert mark is not None
    assert mark.age_ms((1 << 32) + 50) == 150
