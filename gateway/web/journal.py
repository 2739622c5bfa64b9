"""What the web tells the audit: every write and every login. The audit room implements `Journal`."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import HTTPConnection


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed. `actor` is a user or a node; `outcome` is the HTTP status."""

    actor: str
    action: str
    target: str
    outcome: int
    address: str = ""


class Journal(Protocol):
    """The append-only record of who did what."""

    async def record(self, entry: AuditEntry) -> None:
        """Append; the entry is on the disk on return."""
        ...


def name_actor(connection: HTTPConnection, actor: str) -> None:
    """Name who acts on a route without a session (login, enrolment), so that the deed is audited."""
    connection.scope["silian_actor"] = actor[:64]


def name_watched(connection: HTTPConnection, actor: str, streams: Sequence[str]) -> None:
    """Name who begins to watch which streams: audited once per person and stream for a while, in place of a write."""
    connection.scope["silian_watched"] = (actor[:64], tuple(streams))


WATCHED_FOR_S = 600.0
WATCHED_KEPT = 4096


class Watched:
    """Tells a person who begins to watch from one whose page asks again. Time is monotonic seconds."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], float] = OrderedDict()

    def begins(self, actor: str, stream: str, now: float) -> bool:
        """Note that somebody watches; True where the audit has not said so lately."""
        last = self._last.pop((actor, stream), None)
        self._last[actor, stream] = now
        while len(self._last) > WATCHED_KEPT:
            self._last.popitem(last=False)
        if last is not None and now - last < WATCHED_FOR_S:
            self._last[actor, stream] = last
            return False
        return True
