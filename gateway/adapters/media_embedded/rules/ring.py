"""What a leg sent lately, to answer NACKs: the very same bytes again, never others under the same number.

**One sequence number, one content** (SRTP's nonce rule): a number that was used is refused for anything new.

**Headers of a run are not kept but made again**, by what made them first. A hundred legs with a thousand packets each
would be objects enough for the garbage collector to stop all pictures for a twentieth of a second.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, overload

from typing_extensions import override

from gateway.adapters.media_embedded.rules.rows import Row

Sent = tuple[int, bytes, bytes]
"""A packet of a leg: its number (the SRTP index: sequence number and rollovers), its header with extensions, the rest.

Header and rest stay apart until they are encrypted: the rest is the same object for every leg.
"""


class Recipe(NamedTuple):
    """All that a leg's packets of one run were made of; there is at least one row. `wide` is the first wide number."""

    rows: Sequence[Row]
    step: int
    later: int
    payload_type: int
    wide: int
    tail: bytes


class Planned(Sequence[Sent]):
    """The packets of a recipe, made when somebody looks at them: who makes them itself takes the recipe.

    All heads are `head_size` long and begin with the byte `first`; `at` is when they were planned.
    """

    __slots__ = ("_made", "_make", "at", "first", "head_size", "recipe")

    def __init__(
        self, recipe: Recipe, first: int, head_size: int, at: float, make: Callable[[Recipe], list[Sent]]
    ) -> None:
        self.recipe, self.first, self.head_size, self.at = recipe, first, head_size, at
        self._make = make
        self._made: list[Sent] | None = None

    @property
    def packets(self) -> list[Sent]:
        """Return them all."""
        if self._made is None:
            self._made = self._make(self.recipe)
        return self._made

    @property
    def note(self) -> tuple[int, float, list[int], int]:
        """Return what `transport.Transport` remembers of them."""
        return self.recipe.wide, self.at, [len(row[3]) for row in self.recipe.rows], self.head_size

    @override
    def __len__(self) -> int:
        return len(self.recipe.rows)

    @override
    def __iter__(self) -> Iterator[Sent]:
        return iter(self.packets)

    @overload
    def __getitem__(self, place: int) -> Sent: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sent]: ...
    @override
    def __getitem__(self, place: int | slice) -> Sent | list[Sent]:
        return self.packets[place]


class Ring:
    """Keeps the last `size` packets by their number; `size` is a power of two. `make` turns a recipe into packets."""

    def __init__(self, size: int, make: Callable[[Recipe], list[Sent]]) -> None:
        self._mask = size - 1
        self._slots: list[Sent | Recipe | None] = [None] * size
        self._make = make
        self.highest: int | None = None

    def put(self, sent: Sent) -> bool:
        """Keep a packet; False (and nothing kept) if its number was used before or is too old to know."""
        number = sent[0]
        kept = self._number_at(number & self._mask)
        if kept is not None and kept >= number:
            return False
        if self.highest is not None and number <= self.highest - len(self._slots):
            return False
        self._slots[number & self._mask] = sent
        if self.highest is None or number > self.highest:
            self.highest = number
        return True

    def extend(self, recipe: Recipe, first: int, last: int) -> None:
        """Keep a run of ascending numbers from `first` to `last`, all higher than `highest`, that lie within `size`."""
        slots, mask = self._slots, self._mask
        rows = recipe[0]
        count, place = len(rows), first & mask
        if last - first + 1 == count and place + count <= mask + 1:  # nothing missing, no wrap: nearly always
            slots[place : place + count] = (recipe,) * count
        else:
            for row in rows:
                slots[row[0] + recipe.step & mask] = recipe
        self.highest = last

    def _number_at(self, place: int) -> int | None:
        slot = self._slots[place]
        if not isinstance(slot, Recipe):
            return None if slot is None else slot[0]
        last = slot.rows[-1][0] + slot.step
        return last - (last - place & self._mask)

    def _here(self, number: int) -> bool:
        # A number that was never used leaves the slot of an older one alone: what is too old is gone all the same.
        recent = self.highest is not None and number > self.highest - len(self._slots)
        return recent and self._number_at(number & self._mask) == number

    def _sent(self, number: int) -> Sent | None:
        """Return the packet of a number that is here."""
        slot = self._slots[number & self._mask]
        if isinstance(slot, Recipe):
            return next((sent for sent in self._make(slot) if sent[0] == number), None)
        return slot

    def get(self, sequence: int) -> Sent | None:
        """Return the packet that last bore this 16-bit sequence number, if it is still here."""
        if self.highest is None:
            return None
        number = self.highest - ((self.highest - sequence) & 0xFFFF)
        return self._sent(number) if self._here(number) else None

    def holes(self, begin: int, end: int) -> list[tuple[int, bytes]]:
        """Return the numbers in between that were never used, each with the head of the last one used before it."""
        found: list[tuple[int, bytes]] = []
        before: int | None = None
        for number in range(max(begin, end - len(self._slots)), end):
            kept = self._number_at(number & self._mask)
            if kept == number:
                before = number
            elif before is not None and (kept is None or kept < number):
                sent = self._sent(before)
                found += [] if sent is None else [(number, sent[1])]
        return found

    def since(self, number: int) -> list[Sent]:
        """Return the packets from `number` on that are still here, in order."""
        found: list[Sent] = []
        recipes: dict[int, Recipe] = {}
        for slot in self._slots:
            if isinstance(slot, Recipe):
                recipes[id(slot)] = slot
            elif slot is not None and slot[0] >= number and self._here(slot[0]):
                found.append(slot)
        for recipe in recipes.values():
            found += [sent for sent in self._make(recipe) if sent[0] >= number and self._here(sent[0])]
        return sorted(found)
