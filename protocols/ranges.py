"""Sets of sequence numbers as compacted ranges, small enough to be kept for ever.

**Ranges are always sorted, disjoint and never adjacent**: `[[1, 5], [7, 9]]`. A link without losses costs one pair.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from typing_extensions import override


class Ranges:
    """A mutable set of positive integers, stored as inclusive pairs."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, pairs: Iterable[tuple[int, int] | list[int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in pairs:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Add one number, or all from `first` to `last`. Raises ValueError on a range that is empty or below 1."""
        last = first if last is None else last
        if first < 1 or last < first:
            raise ValueError(f"{first}..{last} is no range of sequence numbers")
        left = bisect_left(self._lasts, first - 1)
        right = bisect_right(self._firsts, last + 1)
        if left < right:
            first = min(first, self._firsts[left])
            last = max(last, self._lasts[right - 1])
        self._firsts[left:right] = [first]
        self._lasts[left:right] = [last]

    def merge(self, other: "Ranges") -> None:
        """Add all of `other`."""
        for first, last in other:
            self.add(first, last)

    def minus(self, other: "Ranges") -> "Ranges":
        """Return what is here and not in `other`."""
        kept = Ranges()
        for first, last in self:
            start = first
            for gone, until in other.within(first, last):
                if gone > start:
                    kept.add(start, gone - 1)
                start = until + 1
            if start <= last:
                kept.add(start, last)
        return kept

    def within(self, first: int, last: int) -> "Ranges":
        """Return the part from `first` to `last`."""
        part = Ranges()
        at = bisect_left(self._lasts, first)
        while at < len(self._firsts) and self._firsts[at] <= last:
            part.add(max(first, self._firsts[at]), min(last, self._lasts[at]))
            at += 1
        return part

    def missing(self) -> "Ranges":
        """Return the holes: every number from 1 up to `high` that is not here."""
        return Ranges([(1, self.high)]).minus(self) if self._lasts else Ranges()

    @property
    def high(self) -> int:
        """The greatest number, 0 when empty."""
        return self._lasts[-1] if self._lasts else 0

    @property
    def count(self) -> int:
        """How many numbers are here."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def to_list(self) -> list[list[int]]:
        """Return the JSON form `[[first, last], ...]`; `Ranges(...)` reads it back."""
        return [[first, last] for first, last in self]

    def numbers(self) -> Iterator[int]:
        """Yield every number in order; only for ranges known to be small."""
        for first, last in self:
            yield from range(first, last + 1)

    def copy(self) -> "Ranges":
        """Return an independent copy."""
        return Ranges(self)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __contains__(self, number: int) -> bool:
        at = bisect_left(self._lasts, number)
        return at < len(self._firsts) and self._firsts[at] <= number

    def __bool__(self) -> bool:
        return bool(self._firsts)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self.to_list() == other.to_list()

    __hash__ = None  # type: ignore[assignment]  # mutable, so it may not be a key

    @override
    def __repr__(self) -> str:
        return f"Ranges({self.to_list()})"
