"""HTTP of the enrolment room. The node's own routes have no session: their proof is the token or the old key."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel

from gateway.enrolment.service import Enrolment
from gateway.web.auth import Caller, Role, require
from gateway.web.journal import name_actor
from protocols.enrolment import EnrolAnswer, EnrolRequest, RenewRequest, parse_token
from protocols.ids import NodeId


class Invitation(BaseModel):
    """Body: the node that may enrol."""

    node: NodeId


class Invited(BaseModel):
    """A one-time token; it is shown once."""

    token: str
    expires_at: datetime
    ca_sha256: str


class AuthorityCertificate(BaseModel):
    """This tier's authority (PEM); the node compares it with its token."""

    ca: str
    sha256: str


def routes(enrolment: Enrolment) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/api/v1", tags=["enrolment"])

    @api.post("/enrolments", status_code=201)
    async def invite(body: Invitation, caller: Annotated[Caller, require(Role.OPERATIONS)]) -> Invited:
        """Make a one-time token for a node."""
        made = await enrolment.invite(body.node, caller.user)
        return Invited(token=str(made.token), expires_at=made.expires_at, ca_sha256=enrolment.authority.sha256)

    @api.get("/enrol/ca")
    async def authority() -> AuthorityCertificate:
        """Return the authority's certificate; it is public."""
        return AuthorityCertificate(ca=enrolment.authority.pem, sha256=enrolment.authority.sha256)

    @api.post("/enrol")
    async def enrol(body: EnrolRequest, request: Request) -> EnrolAnswer:
        """Enrol with a token and a CSR."""
        name_actor(request, parse_token(body.token).node)
        return await enrolment.enrol(body)

    @api.post("/enrol/renew")
    async def renew(body: RenewRequest, request: Request) -> EnrolAnswer:
        """Renew with the old certificate and the old key's signature."""
        node, answer = await enrolment.renew(body)
        name_actor(request, node)
        return answer

    return api
