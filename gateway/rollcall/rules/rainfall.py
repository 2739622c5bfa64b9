"""Counties in the order of the rain that fell there (domain.md 3.2: order of a roll call by rainfall). Pure.

What counts is the highest reading in millimetres among the alarms and warnings that stand; a rainstorm warning (11B03)
counts as the rain that it warns of. A county of which nothing is known comes last, as the others of equal rain in the
order of their codes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

RAINSTORM: Final = "11B03"
UNITS: Final = frozenset({"mm", "毫米"})
WARNED_MM: Final = {1: 100.0, 2: 50.0, 3: 50.0, 4: 50.0}
"""Red: 100 mm in 3 h; orange, yellow and blue: 50 mm in 3, 6 and 12 h."""
NO_SEVERITY: Final = 9


class Signal(Protocol):
    """An alarm or a warning that stands."""

    @property
    def centre(self) -> str:
        """Division code."""
        ...

    @property
    def severity(self) -> int:
        """1 red to 4 blue."""
        ...

    @property
    def event_type(self) -> str:
        """Such as 11B03."""
        ...

    @property
    def value(self) -> float | None:
        """The reading."""
        ...

    @property
    def unit(self) -> str | None:
        """Its unit."""
        ...


@dataclass(frozen=True, slots=True)
class Rain:
    """What is known of one county."""

    mm: float = 0.0
    severity: int = NO_SEVERITY


def fallen(signals: Iterable[Signal]) -> dict[str, Rain]:
    """Return the rain of each centre of which something is known."""
    found: dict[str, Rain] = {}
    for signal in signals:
        mm = _mm(signal)
        if mm is not None:
            before = found.get(signal.centre, Rain())
            found[signal.centre] = Rain(max(mm, before.mm), min(signal.severity, before.severity))
    return found


def by_rain(codes: Sequence[str], rain: dict[str, Rain]) -> list[str]:
    """Return the codes, most rain first; of equal rain the graver warning first."""
    dry = Rain()
    return sorted(codes, key=lambda code: (-(one := rain.get(code, dry)).mm, one.severity))


def _mm(signal: Signal) -> float | None:
    measured = signal.value if signal.unit in UNITS else None
    warned = WARNED_MM.get(signal.severity) if signal.event_type.startswith(RAINSTORM) else None
    return max((mm for mm in (measured, warned) if mm is not None), default=None)
