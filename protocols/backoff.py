"""Delays between attempts: exponential with full jitter, never ending.

**A link never gives up**: the delay is bounded, the number of attempts is not.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full-jitter back-off: attempt n waits a random part of min(cap, base * 2**n) seconds, at least `floor`."""

    base: float = 0.5
    cap: float = 30.0
    floor: float = 0.1

    def delay(self, attempt: int, chance: float) -> float:
        """Return seconds to wait before attempt number `attempt` (0 is the first retry); `chance` in [0, 1)."""
        ceiling = min(self.cap, self.base * float(2 ** min(attempt, 32)))
        return max(self.floor, ceiling * chance)
