"""HTTP of what begins by itself: schedules, and calls that an alarm or a warning gives reason for."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.rollcall.api import CONDUCTORS, KEEPERS
from gateway.rollcall.api import routes as call_routes
from gateway.rollcall.offers import Offered
from gateway.rollcall.planner import Planner, Schedule
from gateway.rollcall.rules.schedule import Plan
from gateway.rollcall.service import RollCallService
from gateway.rollcall.views import RollCallView, view
from gateway.web.auth import EVERYBODY, Caller, require
from protocols.rollcall import RollCallKind


class ScheduleBody(BaseModel):
    """Calls that come again."""

    plan: Plan
    enabled: bool = True


class ScheduleView(ScheduleBody):
    """A schedule as it is stored; the seed of its random nights is told nobody."""

    id: str
    at: datetime
    by: str


class OfferView(BaseModel):
    """A call that waits for the caller's word, and what gives the reason."""

    id: str
    at: datetime
    centres: list[str]
    source: str
    reason_id: str
    centre: str
    severity: int
    event_type: str
    headline: str
    automatic: bool


def routes(room: RollCallService, planner: Planner) -> APIRouter:
    """Return all routes of the room: these stand before those of single calls."""
    api = APIRouter(prefix="/api/v1/roll-calls", tags=["roll calls"])
    _schedules(api, planner)
    _offers(api, planner)
    whole = APIRouter()
    whole.include_router(api)
    whole.include_router(call_routes(room))
    return whole


def _schedules(api: APIRouter, planner: Planner) -> None:
    @api.get("/schedules")
    async def schedules(caller: Annotated[Caller, require(*EVERYBODY)]) -> dict[str, list[ScheduleView]]:
        """List the schedules; random ones are shown to callers alone."""
        found = await planner.schedules()
        shown = [one for one in found if one.plan.kind is not RollCallKind.RANDOM or caller.has(*KEEPERS)]
        return {"items": [_schedule(one) for one in shown]}

    @api.post("/schedules", status_code=201)
    async def add(body: ScheduleBody, caller: Annotated[Caller, require(*KEEPERS)]) -> ScheduleView:
        """Store a schedule."""
        return _schedule(await planner.put(body.plan, by=caller.user, enabled=body.enabled))

    @api.put("/schedules/{schedule_id}")
    async def replace(
        schedule_id: str, body: ScheduleBody, caller: Annotated[Caller, require(*KEEPERS)]
    ) -> ScheduleView:
        """Replace a schedule, or switch it off; calls that it planned stay."""
        return _schedule(await planner.put(body.plan, by=caller.user, ident=schedule_id, enabled=body.enabled))

    @api.delete("/schedules/{schedule_id}", status_code=204)
    async def remove(schedule_id: str, _: Annotated[Caller, require(*KEEPERS)]) -> None:
        """Remove a schedule."""
        await planner.remove(schedule_id)


def _offers(api: APIRouter, planner: Planner) -> None:
    @api.get("/offers")
    async def offers(_: Annotated[Caller, require(*CONDUCTORS)]) -> dict[str, list[OfferView]]:
        """List the calls that alarms and warnings give reason for."""
        return {"items": [_offer(one) for one in planner.offers()]}

    @api.post("/offers/{offer_id}/accept", status_code=201)
    async def accept(offer_id: str, caller: Annotated[Caller, require(*CONDUCTORS)]) -> RollCallView:
        """Begin the call."""
        return view(await planner.accept(offer_id, by=caller.user))

    @api.post("/offers/{offer_id}/decline", status_code=204)
    async def decline(offer_id: str, caller: Annotated[Caller, require(*CONDUCTORS)]) -> None:
        """Drop the offer."""
        await planner.decline(offer_id, by=caller.user)


def _schedule(one: Schedule) -> ScheduleView:
    return ScheduleView(plan=one.plan, enabled=one.enabled, id=one.id, at=one.at, by=one.by)


def _offer(one: Offered) -> OfferView:
    reason = one.offer.reason
    return OfferView(
        id=one.id,
        at=one.at,
        centres=list(one.offer.centres),
        source=reason.source.value,
        reason_id=reason.id,
        centre=reason.centre,
        severity=reason.severity,
        event_type=reason.event_type,
        headline=reason.headline,
        automatic=one.offer.automatic,
    )
