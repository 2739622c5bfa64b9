"""HTTP of the audit room: the auditor alone reads."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from gateway.audit.machine import Record
from gateway.audit.service import Audit
from gateway.web.auth import Caller, Role, require

Auditor = Annotated[Caller, require(Role.AUDITOR)]


class Deed(BaseModel):
    """One record of the chain."""

    seq: int
    at: datetime
    actor: str
    action: str
    target: str
    outcome: int
    address: str
    hash: str


class Deeds(BaseModel):
    """One page, oldest first; `next` is the `after` of the next page."""

    items: list[Deed]
    next: int | None


class ChainVerdict(BaseModel):
    """What checking the whole chain found."""

    records: int
    head: str
    fault: str | None


def routes(audit: Audit) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1", tags=["audit"])

    @api.get("/audit")
    async def deeds(
        _caller: Auditor,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> Deeds:
        """Read the audit log."""
        found = await audit.records(after, limit)
        return Deeds(items=[_deed(record) for record in found], next=found[-1].seq if len(found) == limit else None)

    @api.get("/audit/verdict")
    async def verdict(_caller: Auditor) -> ChainVerdict:
        """Check the hash chain from its first record."""
        found = await audit.verify()
        return ChainVerdict(records=found.records, head=found.head, fault=found.fault)

    return api


def _deed(record: Record) -> Deed:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=record.at_us)
    return Deed(
        seq=record.seq,
        at=at,
        actor=record.actor,
        action=record.action,
        target=record.target,
        outcome=record.outcome,
        address=record.address,
        hash=record.hash,
    )
