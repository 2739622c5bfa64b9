"""The command line as a client of its own running gateway: log in, do one thing, log out."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gateway.settings import Settings
from protocols.errors import LinkError, NotAuthenticatedError, RefusedError

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 60.0


def trust(settings: Settings) -> ssl.SSLContext | bool:
    """Return what to trust of the own gateway: the system's authorities, its own, or its configured certificate."""
    if not settings.base_url.startswith("https:"):
        return False
    context = ssl.create_default_context()
    for file in (settings.pki_dir / "ca.crt", settings.http.tls_certificate):
        if file is not None and file.is_file():
            context.load_verify_locations(file)
    return context


@asynccontextmanager
async def session(settings: Settings, user: str, password: str) -> AsyncIterator["httpx.AsyncClient"]:
    """Open a login at the own gateway; raises LinkError, NotAuthenticatedError."""
    import httpx

    known = trust(settings)
    async with httpx.AsyncClient(
        base_url=settings.base_url, verify=known, trust_env=False, timeout=TIMEOUT_S
    ) as client:
        try:
            answer = await client.post("/api/v1/session", json={"username": user, "password": password})
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise LinkError(f"{settings.base_url} cannot be reached: {why}") from None
        if answer.status_code != 200:
            raise NotAuthenticatedError(str(answer.json().get("detail", "the login was refused")))
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        try:
            yield client
        finally:
            await client.delete("/api/v1/session")


async def call(client: "httpx.AsyncClient", method: str, path: str, body: Any = None) -> Any:
    """Call one route; raises RefusedError with the gateway's own words."""
    answer = await client.request(method, path, json=body)
    if answer.status_code >= 400:
        problem = answer.json()
        raise RefusedError(f"{problem.get('detail')} {problem.get('info', '')}".strip(), str(problem.get("code")))
    return answer.json()
