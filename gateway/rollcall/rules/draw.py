"""The draw of a random check, which anybody can repeat with a hash tool.

The seed is made before the draw and kept secret until the call begins; each code of the pool gets the SHA-256 of
`seed:code`, and the smallest hashes are drawn. Pure: the seed is an argument.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draw:
    """What proves a draw."""

    seed: str
    pool: tuple[str, ...]
    count: int

    @property
    def drawn(self) -> tuple[str, ...]:
        """Return the codes drawn, in their order."""
        return order(self.seed, self.pool)[: self.count]

    @property
    def commitment(self) -> str:
        """Return the hash of the seed, which may be shown before the call without giving the draw away."""
        return hashlib.sha256(self.seed.encode()).hexdigest()


def order(seed: str, codes: Iterable[str]) -> tuple[str, ...]:
    """Return the codes in the order that the seed gives; the same for every order of the pool."""
    return tuple(sorted(set(codes), key=lambda code: (hashlib.sha256(f"{seed}:{code}".encode()).digest(), code)))
