"""The duty rosters as a roll call needs them: frozen when it begins, compared with what the county answers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.rollcall import phrases
from gateway.rollcall.records import PointRecord
from gateway.rollcall.rules import roster
from protocols.duty import DutyShift
from protocols.rollcall import Check


class Duty(Protocol):
    """The duty room."""

    async def freeze(self, centres: Sequence[str], at: datetime) -> Mapping[str, Sequence[DutyShift]]:
        """Return whom the roster of each centre names for a moment."""
        ...


class DutyRosters:
    """Implements `needs.Rosters`. `duty` is asked for at each call: that room is made after this one."""

    def __init__(self, duty: Callable[[], Duty]) -> None:
        self._duty = duty

    async def frozen(self, centres: Sequence[str], at: datetime) -> Mapping[str, dict[str, Any]]:
        """Return the roster of each centre as it stands at `at`, with its version and hash."""
        found = await self._duty().freeze(centres, at)
        return {centre: roster.plain(roster.freeze(shifts)) for centre, shifts in found.items()}

    def compare(self, point: PointRecord, at: datetime) -> Sequence[Check]:
        """Return the checks of leader and head count: what nobody said is left away."""
        said = point.answer or {}
        people = said.get("people")
        found = roster.compare(
            roster.read(point.roster), str(said.get("leader", "")), people if isinstance(people, int) else None
        )
        return [
            Check(name=one.check, result=one.result, note=phrases.ISSUES.get(one.issue, ""), at=at)
            for one in found
            if one.issue or one.result.value not in {"unknown"}
        ]
