"""The machine-readable mark of a test card: a centre's code and the moment of drawing, as black and white blocks.

Two rows of 32 square blocks stand at the bottom left of the picture. Row one: a fixed start pattern `1010`, the
division code (20 bits), a checksum (8 bits). Row two: the low 32 bits of the Unix time in milliseconds, followed by
its checksum in row three. Blocks are `BLOCK` of the picture's width each, so the mark survives scaling and encoding.

It proves by pixels which county a picture shows and how old it is (design section 6: the judge decodes pixels itself).
"""

from collections.abc import Callable
from dataclasses import dataclass

COLUMNS = 32
ROWS = 3
BLOCK = 1 / 48
"""Edge of one block as a part of the picture's width: 13.3 pixels at 640."""
LEFT = 1 / 48
"""Left border as a part of the width."""
BOTTOM = 1 / 48
"""Bottom border as a part of the width."""
_START = (1, 0, 1, 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says. `drawn_ms` holds the low 32 bits of the Unix time in milliseconds."""

    code: str
    drawn_ms: int

    def age_ms(self, now_ms: int) -> int:
        """Return how old the picture is at `now_ms` (Unix milliseconds), correct over the 32-bit wrap."""
        age = (now_ms - self.drawn_ms) & 0xFFFFFFFF
        return age - (1 << 32) if age >= 1 << 31 else age


def blocks(code: str, unix_ms: int) -> list[list[int]]:
    """Return the rows of blocks (1 = white) for a centre's code and a time."""
    number, stamp = int(code), unix_ms & 0xFFFFFFFF
    row_one = [*_START, *_bits(number, 20), *_bits(_checksum(number), 8)]
    row_two = _bits(stamp, 32)
    row_three = [*_bits(_checksum(stamp), 8), *([0, 1] * 12)]
    return [row_one, row_two, row_three]


def box(width: int, height: int, row: int, column: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom in pixels of one block in a picture of that size."""
    edge = width * BLOCK
    left = width * LEFT + column * edge
    top = height - width * BOTTOM - (ROWS - row) * edge
    return round(left), round(top), round(left + edge), round(top + edge)


def decode(width: int, height: int, luma: Callable[[int, int], float]) -> Mark | None:
    """Read the mark; `luma(x, y)` gives brightness 0 to 255. None where there is no valid mark."""
    rows = [[_read(width, height, row, column, luma) for column in range(COLUMNS)] for row in range(ROWS)]
    if tuple(rows[0][:4]) != _START or rows[2][8:] != [0, 1] * 12:
        return None
    number, stamp = _number(rows[0][4:24]), _number(rows[1])
    if _number(rows[0][24:]) != _checksum(number) or _number(rows[2][:8]) != _checksum(stamp):
        return None
    return Mark(f"{number:06d}", stamp)


def _read(width: int, height: int, row: int, column: int, luma: Callable[[int, int], float]) -> int:
    left, top, right, bottom = box(width, height, row, column)
    x, y = (left + right) // 2, (top + bottom) // 2
    near = [luma(x + dx, y + dy) for dx, dy in ((0, 0), (-2, 0), (2, 0), (0, -2), (0, 2))]
    return int(sum(near) / len(near) > 127)


def _bits(value: int, width: int) -> list[int]:
    return [(value >> shift) & 1 for shift in range(width - 1, -1, -1)]


def _number(bits: list[int]) -> int:
    value = 0
    for bit in bits:
        value = value << 1 | bit
    return value


def _checksum(value: int) -> int:
    total = 0x5A
    while value:
        total = (total * 31 + (value & 0xFF)) & 0xFF
        value >>= 8
    return total
