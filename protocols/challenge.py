"""The challenge number (口令): four digits that the centre draws and that must be seen in the far picture.

Whoever replays a recording cannot know the number, so a picture that shows it is of now. It is drawn on a plate at
the top right: digits of seven segments for people, and under them one row of black and white blocks for the gateway
(start `1011`, 14 bits, 8 bits of checksum). Blocks are a part of the picture's width, so they survive scaling and
coding. Pure: `plate` says what to paint, `read` reads.
"""

from collections.abc import Callable, Iterator

DIGITS = 4
BLOCK = 1 / 96
"""Edge of one block as a part of the picture's width: 6.7 pixels at 640."""
_START = (1, 0, 1, 1)
_BITS, _CHECK = 14, 8
COLUMNS = len(_START) + _BITS + _CHECK
_ROWS_HIGH = 10
_MARGIN = 2
_SEGMENTS = {
    "a": (0, 0, 3, 1),
    "b": (3, 0, 1, 4),
    "c": (3, 3, 1, 4),
    "d": (0, 6, 3, 1),
    "e": (0, 3, 1, 4),
    "f": (0, 0, 1, 4),
    "g": (0, 3, 4, 1),
}
_SHAPES = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
BLACK, WHITE = 16, 235

Box = tuple[int, int, int, int]


def number_of(value: int) -> str:
    """Return a challenge from any number drawn at random."""
    return f"{value % 10**DIGITS:0{DIGITS}d}"


def bits(number: str) -> list[int]:
    """Return the blocks of a number (1 = white)."""
    value = int(number)
    return [*_START, *_of(value, _BITS), *_of(_checksum(value), _CHECK)]


def plate(number: str, width: int, height: int) -> Iterator[tuple[Box, int]]:
    """Yield boxes (left, top, right, bottom in pixels) with their brightness, in order of painting."""
    yield _box(width, height, -1, -1, COLUMNS + 2, _ROWS_HIGH + 2), BLACK
    for place, digit in enumerate(number):
        left = 1 + place * (COLUMNS // DIGITS)
        for segment in _SHAPES[int(digit)]:
            column, row, wide, high = _SEGMENTS[segment]
            yield _box(width, height, left + column, row, wide, high), WHITE
    for column, bit in enumerate(bits(number)):
        if bit:
            yield _box(width, height, column, _ROWS_HIGH - 2, 1, 2), WHITE


def read(width: int, height: int, luma: Callable[[int, int], float]) -> str | None:
    """Read the number off a picture; `luma(x, y)` gives brightness 0 to 255. None where there is no valid plate."""
    found: list[int] = []
    for column in range(COLUMNS):
        left, top, right, bottom = _box(width, height, column, _ROWS_HIGH - 2, 1, 2)
        x, y = (left + right) // 2, (top + bottom) // 2
        found.append(int(sum(luma(x, y + dy) for dy in (-1, 0, 1)) / 3 > 125))
        if column < len(_START) and found[-1] != _START[column]:
            return None
    value = _number(found[len(_START) : len(_START) + _BITS])
    if value >= 10**DIGITS or _number(found[-_CHECK:]) != _checksum(value):
        return None
    return number_of(value)


def _box(width: int, height: int, column: int, row: int, wide: int, high: int) -> Box:
    edge = width * BLOCK
    left = width - (COLUMNS + _MARGIN - column) * edge
    top = width * BLOCK * (_MARGIN + row)
    found = round(left), round(top), round(left + wide * edge), round(top + high * edge)
    return min(found[0], width), min(found[1], height), min(found[2], width), min(found[3], height)


def _of(value: int, width: int) -> list[int]:
    return [(value >> shift) & 1 for shift in range(width - 1, -1, -1)]


def _number(found: list[int]) -> int:
    value = 0
    for bit in found:
        value = value << 1 | bit
    return value


def _checksum(value: int) -> int:
    return (value * 157 + 0xA5) % 251
