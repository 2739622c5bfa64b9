"""What a county adds to its answer, or corrects in it: a record from below, written over what is known of the point.

The point's state stays as it is: whoever is there was decided by what was seen.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gateway.ports.store import UnitOfWork
from gateway.rollcall.lanes import Arrived
from gateway.rollcall.ledger import Ledger
from protocols.command import RollCallDetails, parse_args
from protocols.envelope import Event
from protocols.errors import NotAllowedError, NotFoundError
from protocols.ids import centre_of

logger = logging.getLogger(__name__)


class Room(Protocol):
    """The calls that are conducted just now."""

    def noted(self, roll_call_id: str, centre: str, said: Mapping[str, Any]) -> None:
        """Take what a county said more of itself: it is stored already."""
        ...


class CountyDetails:
    """Takes `rollcall.details`; an event handler of the links."""

    def __init__(self, ledger: Ledger, room: Room) -> None:
        self._ledger = ledger
        self._room = room

    def check(self, event: Event) -> None:
        """Raise BadSchemaError where the payload does not fit, NotAllowedError where it speaks of another centre."""
        told = parse_args(RollCallDetails, event.data)
        if centre_of(event.source) != told.centre:
            raise NotAllowedError(f"{event.source} may not speak for {told.centre}")

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrived]) -> None:
        """Write what was said into the point; a call of another gateway is let go, its record goes on up."""
        for arrival in arrivals:
            await self._one(uow, parse_args(RollCallDetails, arrival.event.data))

    async def _one(self, uow: UnitOfWork, told: RollCallDetails) -> None:
        try:
            call = await self._ledger.read(uow, told.roll_call_id)
        except NotFoundError:
            return
        point = next((one for one in call.points if one.centre == told.centre), None)
        if point is None or point.delegate is not None:
            return
        said = told.model_dump(mode="json", include={"answered_by", "leader", "people", "note"})
        take_in(point, said)
        await self._ledger.write_point(uow, call.record, point)
        logger.info("county says more", extra={"roll_call": told.roll_call_id, "centre": told.centre})
        uow.after_commit(lambda: self._room.noted(told.roll_call_id, told.centre, said))


class Answered(Protocol):
    """The part of a point that a county's own words change."""

    answer: dict[str, Any] | None
    answered_by: str | None


def take_in(point: Answered, said: Mapping[str, Any]) -> None:
    """Write what a county said into its point; what it left empty stays as it was."""
    told = {name: value for name, value in said.items() if value not in {None, ""}}
    point.answer = (point.answer or {}) | told | {"by": "person"}
    point.answered_by = told.get("answered_by", point.answered_by)
