"""What the web tells the audit: every write and every login. The audit room implements `Journal`."""

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
