"""One call that passes through a gateway on its way down.

**It ends by the word of either end**; where that word does not come, the gateway between says so to both. Times are
monotonic seconds given as arguments.

======== ====================================== ===== =====================================
state    event                                  next  what is told
======== ====================================== ===== =====================================
ringing  answered                               talks
ringing  no answer until `ring_ends`            over  `no_answer`, to whoever may still ring
talks    the caller's side was away for LOST_S  over  `link`, to both
======== ====================================== ===== =====================================
"""

from dataclasses import dataclass
from typing import Final

from gateway.dispatch.machine import DARK_S, EndReason

LOST_S: Final = 2 * DARK_S
"""Longer than either end waits for the other: they know better why it is over, and say it first."""


@dataclass(slots=True)
class Passing:
    """Feed it what is heard of the caller's side; `over` says why it must end."""

    ring_ends: float
    answered: bool = False
    dark_since: float = 0.0

    def take_answer(self, now: float) -> None:
        """Take that the callee answered, or that this gateway begins to look at a call that goes on."""
        self.answered, self.dark_since = True, now

    def look(self, *, live: bool, now: float) -> None:
        """Take whether packets of the caller arrive."""
        if live:
            self.dark_since = now

    def over(self, now: float) -> EndReason | None:
        """Return why it must end now, None while it goes on."""
        if not self.answered:
            return EndReason.NO_ANSWER if now >= self.ring_ends else None
        return EndReason.LINK if now - self.dark_since >= LOST_S else None
