"""Figures of a run: one flat object, and the sums that lead to them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

Value = float | int | str | bool | None
_PERCENTILE = re.compile(r"_p([0-9]{2})(?=_|$)")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile; raises ValueError for none."""
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> str:
    """Return median and range as they stand in the table."""
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})" if values else "-"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a figure must not exceed, or with `at_least` must reach."""

    key: str
    limit: float
    at_least: bool = False

    def holds(self, found: float) -> bool:
        """Tell whether the figure is good."""
        return found >= self.limit if self.at_least else found <= self.limit


@dataclass(slots=True)
class Figures:
    """The JSON object: keys, `samples_<key>` of those with samples, and notes on what was not measured."""

    values: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, key: str, value: Value, samples: int | None = None) -> None:
        """Set a figure; floats are kept to four places that count."""
        self.values[key] = float(f"{value:.4g}") if isinstance(value, float) else value
        if samples is not None:
            self.values[f"samples_{key}"] = samples

    def ranked(self, key: str, values: Sequence[float], enough: int) -> None:
        """Set the percentile that `key` names (`..._p95...`), or the maximum as `..._max...` where samples are few."""
        named = _PERCENTILE.search(key)
        if named is None:
            raise AssertionError(f"{key} names no percentile")
        if not values:
            self.note(f"{key}: no sample")
            return
        if len(values) >= enough:
            self.put(key, percentile(values, int(named[1]) / 100), len(values))
        else:
            self.put(key.replace(named[0], "_max"), max(values), len(values))

    def note(self, text: str) -> None:
        """Say what a reader must know."""
        if text not in self.notes:
            self.notes.append(text)

    def missed(self, reaches: Sequence[Reach]) -> list[str]:
        """Return a sentence for each figure that was measured and lies beyond its limit."""
        out = []
        for reach in reaches:
            found = self.values.get(reach.key)
            if isinstance(found, int | float) and not isinstance(found, bool) and not reach.holds(found):
                wanted = "least" if reach.at_least else "most"
                out.append(f"{reach.key} is {found:g}, wanted at {wanted} {reach.limit:g}")
        return out

    def document(self) -> dict[str, Value]:
        """Return the flat object."""
        return {**self.values, "notes": "; ".join(self.notes)}
