"""The application of a gateway around a few routers; the bearer token is the name of the caller's role."""

import httpx
from fastapi import APIRouter

from gateway.metrics import Metrics
from gateway.web.application import Site, build_site
from gateway.web.auth import Caller, Role
from protocols.errors import NotAuthenticatedError


class People:
    """Everybody is his role."""

    async def authenticate(self, token: str) -> Caller:
        if token not in set(Role):
            raise NotAuthenticatedError("unknown session")
        return Caller(token, token, frozenset({Role(token)}))


class Journal:
    """What was done."""

    def __init__(self) -> None:
        self.deeds: list[str] = []

    async def record(self, entry) -> None:
        self.deeds.append(entry.action)


def client(*routers: APIRouter, centre: str = "320600") -> httpx.AsyncClient:
    """Return a client of the application."""
    site = Site(
        centre=centre, version="0", authenticator=People(), journal=Journal(), metrics=Metrics(),
        routers=routers, ready=lambda: {},
    )  # fmt: skip
    transport = httpx.ASGITransport(app=build_site(site))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{centre}")


def as_role(role: str) -> dict[str, str]:
    """Return the headers of a caller with this role."""
    return {"authorization": f"Bearer {role}"}
