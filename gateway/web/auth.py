"""Who may call: every route of the API names the roles it admits.

**A route without `require` is a fault that a test finds.**

Use in a room's `api.py`::

    @api.get("/alarms")
    async def alarms(caller: Annotated[Caller, require(*READERS)]) -> Page: ...

`require(A, B)` admits a caller who has any of the roles, `require()` anybody who is logged in. Without a valid
session the answer is 401 `not_authenticated`, without the role 403 `not_allowed`, before the first login's password
was changed 403 `must_change_password`. The users room supplies the `Authenticator`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlsplit

from fastapi import Depends, Request

from protocols.errors import MustChangePasswordError, NotAllowedError, NotAuthenticatedError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Role(StrEnum):
    """What a person may do; a person may have several."""

    CALLER = "caller"  # runs roll calls (点名员)
    DISPATCHER = "dispatcher"  # speaks with counties (调度员)
    DUTY_OFFICER = "duty_officer"  # acknowledges alarms (值班员)
    OPERATIONS = "operations"  # links, enrolment, accounts (运维)
    AUDITOR = "auditor"  # reads the audit log (审计员)


EVERYBODY = tuple(Role)
"""For what every person at a console sees: centres, links, cameras, alarms, events."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The person behind a request. `session_id` names the login, never the token."""

    user: str
    display_name: str
    roles: frozenset[Role]
    session_id: str = ""
    must_change_password: bool = False

    def has(self, *roles: Role) -> bool:
        """Tell whether the caller has any of `roles`; no role named = everybody."""
        return not roles or any(role in self.roles for role in roles)


class Authenticator(Protocol):
    """Turns a session token into a caller; implemented by the users room."""

    async def authenticate(self, token: str) -> Caller:
        """Return the caller; raises NotAuthenticatedError for an unknown, ended or revoked session."""
        ...


def cookie_name(centre: str) -> str:
    """Return the session cookie's name: cookies ignore ports, and several tiers may share a host."""
    return f"silian_session_{centre}"


def token_of(request: Request) -> tuple[str | None, bool]:
    """Return the session token and whether it came as a cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip(), False
    return request.cookies.get(cookie_name(request.app.state.centre)), True


async def current_caller(request: Request) -> Caller:
    """Authenticate the request; raises NotAuthenticatedError, NotAllowedError for a write from a foreign page."""
    token, by_cookie = token_of(request)
    if token is None:
        raise NotAuthenticatedError("log in first: POST /api/v1/session")
    if by_cookie and request.method not in SAFE_METHODS:
        _refuse_foreign_page(request)
    authenticator: Authenticator = request.app.state.authenticator
    caller = await authenticator.authenticate(token)
    request.scope["silian_caller"] = caller  # read by the audit after the answer
    return caller


def _refuse_foreign_page(request: Request) -> None:
    # SameSite=Strict still lets another port of the same host through; the Origin header does not.
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotAllowedError(f"a page of {origin} may not write here")


def gate(*roles: Role, before_password_change: bool = False) -> Callable[[Request], Awaitable[Caller]]:
    """Return the dependency behind `require`."""

    async def admit(request: Request) -> Caller:
        caller = await current_caller(request)
        if caller.must_change_password and not before_password_change:
            raise MustChangePasswordError("change the first password: POST /api/v1/session/password")
        if not caller.has(*roles):
            raise NotAllowedError(f"this needs the role {' or '.join(roles)}")
        return caller

    admit.roles = frozenset(roles)  # type: ignore[attr-defined]  # read by the test that walks all routes
    return admit


def require(*roles: Role) -> Any:
    """Admit a caller who has any of `roles`; returns a FastAPI dependency that yields the `Caller`."""
    return Depends(gate(*roles))
