"""Which repeats of an alarm are folded into one when the disk runs short: pure.

Per alarm key the first raise, the last raise and, if it is the last word, the last clear stay. The last raise takes
the count of all raises that go; what goes becomes void, named by the number that stays. **No key is ever dropped.**
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from protocols.uplink import VoidRange


@dataclass(frozen=True, slots=True)
class Foldable:
    """One owed raise or clear of `alarm`; `raises` is how many raises it stands for (0 for a clear)."""

    seq: int
    alarm: str
    raised: bool
    raises: int


@dataclass(slots=True)
class Folded:
    """The outcome: which number was folded into which (`by`), and the new count of each surviving raise."""

    by: dict[int, int] = field(default_factory=dict)
    raises: dict[int, int] = field(default_factory=dict)

    def voids(self) -> Iterator[VoidRange]:
        """Yield the void ranges: neighbours with the same survivor share one."""
        first = last = None
        for seq in sorted(self.by):
            if first is not None and last is not None:
                if seq == last + 1 and self.by[seq] == self.by[first]:
                    last = seq
                    continue
                yield VoidRange(first=first, last=last, by=self.by[first])
            first = last = seq
        if first is not None and last is not None:
            yield VoidRange(first=first, last=last, by=self.by[first])


def fold(owed: Iterable[Foldable]) -> Folded:
    """Fold the records of one lane, given in order."""
    groups: dict[str, list[Foldable]] = {}
    for one in owed:
        groups.setdefault(one.alarm, []).append(one)
    folded = Folded()
    for group in groups.values():
        _fold_group(group, folded)
    return folded


def _fold_group(group: list[Foldable], folded: Folded) -> None:
    raises = [one for one in group if one.raised]
    kept = {group[-1].seq}
    if raises:
        kept |= {raises[0].seq, raises[-1].seq}
    gone = [one for one in group if one.seq not in kept]
    if not gone:
        return
    heir = raises[-1] if raises else group[-1]
    for one in gone:
        folded.by[one.seq] = heir.seq
    taken = sum(one.raises for one in gone)
    if taken:
        folded.raises[heir.seq] = heir.raises + taken
