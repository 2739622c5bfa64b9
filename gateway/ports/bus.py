"""Port `bus`: what happened at one replica of a gateway is told to the other replicas of the same centre.

**What travels here is a wake-up, never the truth.** Whatever must follow from an event is a row in the store before it
is announced, so an announcement that comes late, or never, costs a delay and nothing else. From that follows the
contract, which `tests/contracts/bus/` runs on every adapter:

- `announce` never waits and never raises. It may be called where no other replica listens, and while the bus is away:
  what is announced then is kept, bounded, and goes out when the bus is back. What had to be given up is counted, and
  all others are told that they missed something.
- Each other member hears an announcement once, in the order of its sender, or is told that it missed some (`missed`);
  nobody hears his own. A member that joins hears what is announced from then on.
- A member that was cut off hears afterwards what it missed, as long as the bus still has it, and else is told so.
- A bus that cannot be reached stops nothing and fails no start: it is `health.up = False` with a sentence for people.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class BusHealth:
    """Present state. `waiting` announcements wait for the bus, `given_up` never went out, `missed` were not heard."""

    kind: str
    up: bool
    detail: str = ""
    waiting: int = 0
    given_up: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom to tell. Both are called in the event loop and must be quick; one that raises is logged and passed over."""

    heard: Callable[[bytes], None]
    missed: Callable[[int], None]
    """So many announcements may have been lost (0: nobody knows how many): read the state anew."""


class Bus(Protocol):
    """One member's end of the bus. Use it with `async with`; `listen` before that."""

    def listen(self, ears: Ears) -> None:
        """Say who hears the others."""
        ...

    def announce(self, id_: str, body: bytes) -> None:
        """Tell all other members; `id_` is a ULID that is never used for anything else."""
        ...

    @property
    def health(self) -> BusHealth:
        """Present state; never waits."""
        ...

    async def __aenter__(self) -> Self:
        """Join. Raises ConfigError for a wrong setting only: a bus that is away is joined when it comes."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Leave, after what was announced had a moment to go out."""
        ...
