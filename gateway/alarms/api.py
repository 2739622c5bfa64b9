"""HTTP of the alarms: list, detail, acknowledgement, the event log, and CAP intake."""

from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from gateway.alarms.bulletins import Bulletins
from gateway.alarms.service import Alarms, Wanted
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.alarm import Condition, Severity, Visibility
from protocols.envelope import Hop
from protocols.ids import CentreCode

Anybody = Annotated[Caller, require(*EVERYBODY)]
Officer = Annotated[Caller, require(Role.DUTY_OFFICER)]
Publisher = Annotated[Caller, require(Role.DUTY_OFFICER, Role.OPERATIONS)]


class AcknowledgedView(BaseModel):
    """Who took the alarm in hand."""

    by: str
    at: datetime
    centre: str
    note: str


class ShelfView(BaseModel):
    """Who hid the alarm here; `until` None: out of service."""

    by: str
    at: datetime
    until: datetime | None
    reason: str


class EscalatedView(BaseModel):
    """Which centre handed the alarm to which, who did it (`chain`: the time ran out), when and why."""

    by: str
    at: datetime
    centre: str
    to: str
    why: str


class AlarmView(BaseModel):
    """One alarm: condition, acknowledgement and visibility are separate facts."""

    id: str
    source: str
    alarm_key: str
    centre: str
    sensor: str
    event_type: str
    severity: Severity
    colour: str
    headline: str
    detail: str
    value: float | None
    unit: str | None
    label: str | None
    condition: Condition
    acknowledged: AcknowledgedView | None
    escalated: EscalatedView | None
    reopened_at: datetime | None
    visibility: Visibility
    shelf: ShelfView | None
    behind: str | None
    flapping: bool
    first_raised_at: datetime
    last_observed_at: datetime
    received_at: datetime
    count: int
    drill: bool


class Filter(BaseModel):
    """What a list of alarms may be narrowed to."""

    condition: Literal["active", "cleared", "all"] = "active"
    acknowledged: bool | None = None
    severity: list[Severity] = []
    centre: CentreCode | None = None
    shown: bool | None = None
    escalated: bool | None = None
    event_type: str | None = Field(default=None, max_length=32)
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = None


class Totals(BaseModel):
    """Counts over the whole subtree."""

    active: int
    unacknowledged: int


class AlarmPage(BaseModel):
    """A page of alarms, newest first."""

    items: list[AlarmView]
    next: str | None
    totals: Totals


class LogLine(BaseModel):
    """One event, in order of arrival; `applied` False: late or of an earlier episode, it changed nothing."""

    number: int
    event_id: str
    source: str
    type: str
    alarm_source: str
    alarm_key: str
    origincounter: int
    condition: Condition | None
    time: datetime
    received_at: datetime
    applied: bool
    hops: list[Hop]
    count: int


class LogPage(BaseModel):
    """A page of the event log; `next` is the `after` of the next page, None at the end."""

    items: list[LogLine]
    next: str | None


class Note(BaseModel):
    """What the officer adds."""

    note: str = Field(default="", max_length=1000)


class ToShelve(BaseModel):
    """How long to hide an alarm, and why. Without minutes it is out of service until somebody shows it again."""

    minutes: int | None = Field(default=None, ge=1, le=24 * 60)
    reason: str = Field(min_length=1, max_length=1000)


class GroupView(BaseModel):
    """One line of the folded list; `centre` or `event_type` None stands for several, `within` for all centres below."""

    severity: Severity
    colour: str
    centre: str | None
    event_type: str | None
    within: bool
    count: int
    unacknowledged: int
    first_raised_at: datetime
    last_observed_at: datetime
    headline: str
    id: str


class Taken(BaseModel):
    """Events made of a CAP message."""

    event_ids: list[str]


def routes(alarms: Alarms, bulletins: Bulletins) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1", tags=["alarms"])
    _folded(api, alarms)
    _reading(api, alarms)

    @api.post("/alarms/{alarm_id}/acknowledge", response_model=AlarmView)
    async def acknowledge(alarm_id: str, caller: Officer, body: Note | None = None) -> dict[str, Any]:
        """Take an alarm in hand; the tiers above are told."""
        return await alarms.acknowledge(alarm_id, by=caller.user, note=body.note if body else "")

    @api.post("/alarms/{alarm_id}/shelve", response_model=AlarmView)
    async def shelve(alarm_id: str, caller: Officer, body: ToShelve) -> dict[str, Any]:
        """Hide an alarm at this tier for a time (搁置) or take it out of service (停用); red ones cannot be hidden."""
        for_s = None if body.minutes is None else body.minutes * 60.0
        return await alarms.shelve(alarm_id, by=caller.user, reason=body.reason, for_s=for_s)

    @api.delete("/alarms/{alarm_id}/shelve", response_model=AlarmView)
    async def show(alarm_id: str, _: Officer) -> dict[str, Any]:
        """Show an alarm again."""
        return await alarms.show(alarm_id)

    @api.post(
        "/cap",
        status_code=202,
        openapi_extra={"requestBody": {"content": {"application/cap+xml": {"schema": {"type": "string"}}}}},
    )
    async def cap(request: Request, _: Publisher) -> Taken:
        """Take a CAP 1.2 warning (XML); a repeat of the same message answers with the same events."""
        return Taken(event_ids=await bulletins.take(await request.body()))

    return api


def _folded(api: APIRouter, alarms: Alarms) -> None:
    @api.get("/alarms/groups")
    async def groups(_: Anybody) -> dict[str, list[GroupView]]:
        """List what is active and shown as at most 40 lines, gravest first; red alarms are never folded together."""
        found = [
            GroupView(colour=Severity(g.severity).name.lower(), **{f.name: getattr(g, f.name) for f in fields(g)})
            for g in await alarms.groups()
        ]
        return {"items": found}


def _reading(api: APIRouter, alarms: Alarms) -> None:
    @api.get("/alarms", response_model=AlarmPage)
    async def page(_: Anybody, asked: Annotated[Filter, Query()]) -> dict[str, Any]:
        """List alarms, newest first; `centre` includes the centres below it."""
        wanted = Wanted(
            condition=None if asked.condition == "all" else Condition(asked.condition),
            acknowledged=asked.acknowledged,
            severities=tuple(int(one) for one in asked.severity),
            centre=asked.centre,
            shown=asked.shown,
            escalated=asked.escalated,
            event_type=asked.event_type,
            limit=asked.limit,
            cursor=asked.cursor,
        )
        return await alarms.page(wanted)

    @api.get("/alarms/events", response_model=LogPage)
    async def events(
        _: Anybody,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        source: str | None = None,
        alarm_key: str | None = None,
    ) -> dict[str, Any]:
        """Read the event log in order of arrival; `source` and `alarm_key` name one alarm."""
        return await alarms.events(after, limit, source=source, alarm_key=alarm_key)

    @api.get("/alarms/{alarm_id}", response_model=AlarmView)
    async def one(alarm_id: str, _: Anybody) -> dict[str, Any]:
        """Return one alarm."""
        return await alarms.get(alarm_id)
