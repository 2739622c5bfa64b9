"""At which rates the last trains came: packets that left at once and were pulled apart by a thin line.

The rates stay sorted, because their middle is asked for with every feedback of every viewer.
"""

from bisect import bisect_left, insort
from collections import deque

KEPT, TRAINS_S = 32, 5.0
"""As many trains are remembered, and none for longer."""


class Trains:
    """Feed `add`; `rates` returns those of the last five seconds, ascending."""

    def __init__(self) -> None:
        self._trains: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, rate: float, now: float) -> None:
        """Note a train; the oldest one may go for it."""
        if len(self._trains) == KEPT:
            self._forget()
        self._trains.append((now, rate))
        insort(self._sorted, rate)

    def _forget(self) -> None:
        _, rate = self._trains.popleft()
        del self._sorted[bisect_left(self._sorted, rate)]

    def rates(self, now: float) -> list[float]:
        """Return the rates, ascending; not to be changed, and good until the next call."""
        while self._trains and now - self._trains[0][0] > TRAINS_S:
            self._forget()
        return self._sorted

    def clear(self) -> None:
        """Forget them all."""
        self._trains.clear()
        self._sorted.clear()
