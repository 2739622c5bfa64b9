"""HTTP of the escalation: the chain of this centre with its history, the course of an alarm, escalating, assigning."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from gateway.escalation.chains import Chain, Contact
from gateway.escalation.service import Escalation
from gateway.ports.notify import Channel, Receipt
from gateway.web.auth import EVERYBODY, Caller, Role, require

Anybody = Annotated[Caller, require(*EVERYBODY)]
Officer = Annotated[Caller, require(Role.DUTY_OFFICER)]
Keeper = Annotated[Caller, require(Role.DUTY_OFFICER, Role.OPERATIONS)]


class ChainView(BaseModel):
    """The chain in force; version 0 is the one that was shipped. `channels` are those that this centre has set up."""

    version: int
    chain: Chain
    channels: list[Channel]


class ToPut(BaseModel):
    """A chain; `base` is the version that its editor has seen, so that nobody's newer one is replaced unseen."""

    model_config = ConfigDict(extra="forbid")

    base: int = Field(ge=0)
    chain: Chain


class VersionView(BaseModel):
    """One version: who put it in force, and when."""

    version: int
    at: datetime
    by: str
    chain: Chain


class LineView(BaseModel):
    """What befell the chain."""

    at: datetime
    what: str
    by: str
    detail: str


class NoticeView(BaseModel):
    """One message with its receipt."""

    id: str
    purpose: str
    channel: Channel
    person: str
    role: str
    address: str | None
    step: int
    round: int
    state: Receipt
    reason: str
    reference: str
    attempts: int
    text: str
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None


class Called(BaseModel):
    """Who will be told by which channel."""

    person: str
    role: str
    channel: Channel


class ComingView(BaseModel):
    """What comes next, and when."""

    at: datetime
    what: str
    people: list[Called]
    upward: bool


class CourseView(BaseModel):
    """The course of an alarm's chain; `phase` None: nobody is told of such alarms."""

    phase: str | None
    handed: bool
    round: int
    due_at: datetime | None
    lines: list[LineView]
    notices: list[NoticeView]
    coming: list[ComingView]


class ToEscalate(BaseModel):
    """Why it cannot wait."""

    why: str = Field(min_length=1, max_length=200)


class ToAssign(BaseModel):
    """Who is to see to the alarm, and how they are told."""

    person: Contact
    channels: list[Channel] = Field(min_length=1, max_length=4)


def routes(escalation: Escalation) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1", tags=["escalation"])
    _chains(api, escalation)

    @api.get("/alarms/{alarm_id}/escalation", response_model=CourseView)
    async def course(alarm_id: str, _: Anybody) -> dict[str, Any]:
        """Tell who was told of an alarm, with which receipt, and what comes next."""
        return await escalation.course(alarm_id)

    @api.post("/alarms/{alarm_id}/escalate", response_model=CourseView)
    async def escalate(alarm_id: str, caller: Officer, body: ToEscalate) -> dict[str, Any]:
        """Hand an alarm to the tier above at once (升级); at the top, take the next step."""
        await escalation.escalate(alarm_id, by=caller.user, why=body.why)
        return await escalation.course(alarm_id)

    @api.post("/alarms/{alarm_id}/assign", response_model=CourseView)
    async def assign(alarm_id: str, caller: Officer, body: ToAssign) -> dict[str, Any]:
        """Name a person who is to see to an alarm (指派) and tell them at once; the chain goes on."""
        await escalation.assign(alarm_id, body.person, body.channels, by=caller.user)
        return await escalation.course(alarm_id)

    return api


def _chains(api: APIRouter, escalation: Escalation) -> None:
    @api.get("/escalation/chain")
    async def chain(_: Anybody) -> ChainView:
        """Return the chain in force at this centre."""
        return ChainView(version=escalation.version, chain=escalation.chain, channels=escalation.channels)

    @api.put("/escalation/chain")
    async def put(caller: Keeper, body: ToPut) -> ChainView:
        """Put a new version of the chain in force (409 where `base` is not it); those before stay readable."""
        version = await escalation.set_chain(body.chain, by=caller.user, base=body.base)
        return ChainView(version=version, chain=body.chain, channels=escalation.channels)

    @api.get("/escalation/chain/versions")
    async def versions(_: Anybody) -> dict[str, list[VersionView]]:
        """Return the versions, newest first, at most 50."""
        return {"items": [VersionView.model_validate(one) for one in await escalation.versions()]}
