"""HTTP of the links: what peers refused, and what no sender holds any more."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from gateway.links.service import Links
from gateway.web.auth import EVERYBODY, Caller, Role, require
from protocols.envelope import Lane

Limit = Annotated[int, Query(ge=1, le=1000)]


class Refused(BaseModel):
    """A record of this gateway that a peer refused."""

    id: int
    peer: str
    lane: Lane
    event: dict[str, Any]
    code: str
    detail: str
    refused_at: datetime
    resent: bool


class Quarantine(BaseModel):
    """Refused records, newest first."""

    items: list[Refused]
    next: str | None = None


class Gap(BaseModel):
    """Hop numbers `first` to `last` of a sender's lane that nobody holds any more."""

    id: int
    node: str
    epoch: str
    lane: Lane
    first: int
    last: int
    found_at: datetime


class Gaps(BaseModel):
    """Named gaps, newest first."""

    items: list[Gap]
    next: str | None = None


def routes(links: Links) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1", tags=["links"])

    @api.get("/quarantine")
    async def quarantine(_: Annotated[Caller, require(*EVERYBODY)], limit: Limit = 100) -> Quarantine:
        """List records that a peer refused."""
        found = await links.quarantine(limit)
        return Quarantine(
            items=[
                Refused(
                    id=one.id,
                    peer=one.peer,
                    lane=one.lane,
                    event=one.event,
                    code=one.code,
                    detail=one.detail,
                    refused_at=one.refused_at,
                    resent=one.resent,
                )
                for one in found
            ]
        )

    @api.post("/quarantine/{quarantine_id}/resend", status_code=204)
    async def resend(quarantine_id: int, _: Annotated[Caller, require(Role.OPERATIONS)]) -> None:
        """Send a refused record again under a new number, once its cause is gone."""
        await links.resend(quarantine_id)

    @api.get("/gaps")
    async def gaps(_: Annotated[Caller, require(*EVERYBODY)], limit: Limit = 100) -> Gaps:
        """List what was lost beyond recovery, by sender and number."""
        return Gaps(items=[Gap(**row) for row in await links.gaps(limit)])

    return api
