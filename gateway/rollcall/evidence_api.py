"""HTTP of the evidence: what there is of a point, each file, and whether the chain is whole."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from gateway.rollcall.evidence import Evidence, when
from gateway.rollcall.rules.chain import EvidenceKind, Link
from gateway.web.auth import Caller, Role, require
from protocols.ids import CentreCode

SEERS = (Role.CALLER, Role.DISPATCHER, Role.DUTY_OFFICER, Role.OPERATIONS, Role.AUDITOR)


class EvidenceView(BaseModel):
    """One piece of evidence; `file` is its address, `hash` its link in the chain."""

    number: int
    kind: EvidenceKind
    sha256: str
    octets: int
    media_type: str
    taken_at: datetime
    stored_at: datetime
    note: str
    seq: int
    hash: str
    file: str


class EvidenceList(BaseModel):
    """All that is kept of one point."""

    items: list[EvidenceView]


class ChainView(BaseModel):
    """What checking the chain found; files are checked by `silian doctor`."""

    links: int
    head: str
    files: int
    fault: str | None


def evidence_routes(evidence: Evidence) -> APIRouter:
    """Return the routes of evidence."""
    api = APIRouter(prefix="/api/v1/roll-calls", tags=["roll calls"])

    @api.get("/evidence/verdict")
    async def verdict(_: Annotated[Caller, require(Role.AUDITOR, Role.CALLER)]) -> ChainView:
        """Check the chain of evidence from its first link."""
        found = await evidence.verify()
        return ChainView(links=found.links, head=found.head, files=len(found.files), fault=found.fault)

    @api.get("/{roll_call_id}/points/{centre}/evidence")
    async def listed(roll_call_id: str, centre: CentreCode, _: Annotated[Caller, require(*SEERS)]) -> EvidenceList:
        """List the evidence of one point, in the order in which it was kept."""
        return EvidenceList(items=[_view(link) for link in await evidence.of(roll_call_id, centre)])

    @api.get("/{roll_call_id}/points/{centre}/evidence/{sha256}", response_class=Response)
    async def file(
        roll_call_id: str,
        centre: CentreCode,
        sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
        _: Annotated[Caller, require(*SEERS)],
    ) -> Response:
        """Return one file, verified against its name."""
        link, content = await evidence.content(roll_call_id, centre, sha256)
        headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(content, 200, headers, media_type=link.media_type)

    return api


def _view(link: Link) -> EvidenceView:
    return EvidenceView(
        number=link.number,
        kind=link.kind,
        sha256=link.sha256,
        octets=link.octets,
        media_type=link.media_type,
        taken_at=when(link.taken_us),
        stored_at=when(link.at_us),
        note=link.note,
        seq=link.seq,
        hash=link.hash,
        file=f"/api/v1/roll-calls/{link.roll_call_id}/points/{link.centre}/evidence/{link.sha256}",
    )
