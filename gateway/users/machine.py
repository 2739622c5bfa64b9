"""Rules of accounts: when one locks, and which passwords are accepted. Time is an argument.

::

    open --failure--> open (count + 1) --n-th failure--> locked --time passed--> open (count 0) --success--> open (0)
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from protocols.errors import BadInputError

SHORTEST = 10
LONGEST = 128


@dataclass(frozen=True, slots=True)
class Door:
    """How often an account was tried in vain, and until when it is locked."""

    failures: int = 0
    locked_until: datetime | None = None

    def wait_s(self, now: datetime) -> int | None:
        """Return the whole seconds until the account opens, None where it is open."""
        if self.locked_until is None or now >= self.locked_until:
            return None
        return max(1, ceil((self.locked_until - now).total_seconds()))

    def failed(self, now: datetime, limit: int, lock_s: int) -> "Door":
        """Return the door after one more failure; the failures before an ended lock no longer count."""
        before = 0 if self.locked_until is not None and now >= self.locked_until else self.failures
        count = before + 1
        return Door(count, now + timedelta(seconds=lock_s) if count >= limit else None)


def check_password(password: str, name: str) -> None:
    """Raise BadInputError for a password that is too short, too long, too plain, or the name itself."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadInputError(f"a password has {SHORTEST} to {LONGEST} characters")
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise BadInputError("this password is too easy to guess: no name in it, at least five different characters")
