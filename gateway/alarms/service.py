"""Alarms: taking events in, acknowledging, reading.

All writing happens in units of work; `AlarmChanged` fires after the commit.
"""

from typing import Any, Protocol

from protocols.alarm import Severity


class Alarms(Protocol):
    """The alarms of the subtree."""

    async def acknowledge(self, alarm_id: str, *, by: str, note: str = "") -> dict[str, Any]:
        """Take an alarm in hand; returns it. Raises NotFoundError, WrongMomentError if already acknowledged."""
        ...

    async def get(self, alarm_id: str) -> dict[str, Any]:
        """Return one alarm in the form of the API; raises NotFoundError."""
        ...

    async def take_cap(self, xml: bytes) -> list[str]:
        """Take a CAP 1.2 message as alarms of this gateway; returns the event ids. Raises BadInputError."""
        ...

    @staticmethod
    def colour(severity: Severity) -> str:
        """Return red, orange, yellow or blue."""
        return severity.name.lower()
