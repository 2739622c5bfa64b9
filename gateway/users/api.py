"""HTTP of the users room: login, own password, accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.users.service import User, Users, new_password
from gateway.web.auth import Caller, Role, cookie_name, gate, require
from gateway.web.journal import name_actor
from protocols.errors import WrongMomentError

Anybody = Annotated[Caller, Depends(gate(before_password_change=True))]
Operations = Annotated[Caller, require(Role.OPERATIONS)]


class Credentials(BaseModel):
    """Body of the login."""

    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=128)


class PasswordChange(BaseModel):
    """Body of the change of the own password."""

    old: str = Field(max_length=128)
    new: str = Field(max_length=128)


class Person(BaseModel):
    """The caller, as the console shows it."""

    name: str
    display_name: str
    roles: Sequence[Role]
    must_change_password: bool


class Session(BaseModel):
    """An open login."""

    user: Person
    token: str
    expires_at: datetime


class Account(Person):
    """One row of the list of accounts."""

    disabled: bool
    created_at: datetime


class NewUser(BaseModel):
    """Body that makes an account; without a password one is made and answered once."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_.-]{1,31}$")
    display_name: str = Field(min_length=1, max_length=64)
    roles: list[Role] = Field(min_length=1)


class UserChange(BaseModel):
    """Body that changes an account; what is not given stays."""

    model_config = ConfigDict(extra="forbid")

    roles: list[Role] | None = Field(default=None, min_length=1)
    disabled: bool | None = None


class FirstPassword(BaseModel):
    """An account with the password that opens it the first time; it is not stored and never shown again."""

    user: Account
    password: str


class Accounts(BaseModel):
    """All accounts."""

    items: list[Account]
    next: str | None = None


def routes(users: Users, *, secure_cookie: bool) -> APIRouter:
    """Return the routes; `secure_cookie` where browsers reach the gateway by HTTPS."""
    api = APIRouter(prefix="/api/v1")
    _session_routes(api, users, secure_cookie=secure_cookie)
    _account_routes(api, users)
    return api


def _session_routes(api: APIRouter, users: Users, *, secure_cookie: bool) -> None:
    @api.post("/session", tags=["session"])
    async def log_in(body: Credentials, request: Request, response: Response) -> Session:
        """Log in; the token also comes as a cookie."""
        name_actor(request, body.username)
        login = await users.login(body.username, body.password)
        life = int((login.expires_at - datetime.now(login.expires_at.tzinfo)).total_seconds())
        name = cookie_name(request.app.state.centre)
        response.set_cookie(
            name, login.token, max_age=life, path="/", secure=secure_cookie, httponly=True, samesite="strict"
        )
        return Session(user=_person(login.user), token=login.token, expires_at=login.expires_at)

    @api.get("/session", tags=["session"])
    async def who_am_i(caller: Anybody) -> Person:
        """Return the caller."""
        return Person(
            name=caller.user,
            display_name=caller.display_name,
            roles=sorted(caller.roles),
            must_change_password=caller.must_change_password,
        )

    @api.delete("/session", tags=["session"], status_code=204)
    async def log_out(caller: Anybody, request: Request, response: Response) -> None:
        """End this login."""
        await users.logout(caller.session_id)
        response.delete_cookie(cookie_name(request.app.state.centre), path="/", httponly=True, samesite="strict")

    @api.post("/session/password", tags=["session"])
    async def change_password(body: PasswordChange, caller: Anybody) -> Person:
        """Change the own password; all other logins of the account end."""
        return _person(await users.change_password(caller, body.old, body.new))


def _account_routes(api: APIRouter, users: Users) -> None:
    @api.get("/users", tags=["users"])
    async def accounts(_caller: Operations) -> Accounts:
        """List the accounts."""
        return Accounts(items=[_row(user) for user in users.users()])

    @api.post("/users", tags=["users"], status_code=201)
    async def new_account(body: NewUser, _caller: Operations) -> FirstPassword:
        """Make an account; the answer carries its first password, which must be changed at the first login."""
        password = new_password()
        user = await users.create(body.name, body.display_name, tuple(dict.fromkeys(body.roles)), password)
        return FirstPassword(user=_row(user), password=password)

    @api.patch("/users/{name}", tags=["users"])
    async def change_account(name: str, body: UserChange, caller: Operations) -> Account:
        """Change the roles of an account, or shut it; nobody shuts the own one."""
        if body.disabled and name == caller.user:
            raise WrongMomentError("nobody shuts the own account; ask a colleague")
        roles = tuple(dict.fromkeys(body.roles)) if body.roles is not None else None
        return _row(await users.change(name, roles=roles, disabled=body.disabled))

    @api.post("/users/{name}/password", tags=["users"])
    async def reset_password(name: str, _caller: Operations) -> FirstPassword:
        """Give an account a new first password; its logins end."""
        password = await users.reset_password(name)
        return FirstPassword(user=_row(next(u for u in users.users() if u.name == name)), password=password)


def _person(user: User) -> Person:
    return Person(
        name=user.name,
        display_name=user.display_name,
        roles=user.roles,
        must_change_password=user.must_change_password,
    )


def _row(user: User) -> Account:
    return Account(
        name=user.name,
        display_name=user.display_name,
        roles=user.roles,
        must_change_password=user.must_change_password,
        disabled=user.disabled,
        created_at=user.created_at,
    )
