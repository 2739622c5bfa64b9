"""Accounts and logins: the store behind, memory in front, argon2 in a thread.

Reading is from memory (loaded by `start`, changed after each commit), because every request asks. **Whoever is unknown
is treated like a wrong password**, in time and in words, so that names cannot be found out.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from gateway.metrics import Metrics
from gateway.ports.store import Store
from gateway.settings import UsersSection
from gateway.users.machine import Door, check_password
from gateway.users.tables import SESSIONS, USERS
from gateway.web.auth import Caller, Role
from gateway.web.keys import load_or_make_key, write_secret
from protocols.aio.clock import Clock, new_ulid
from protocols.errors import BadInputError, LockedError, NotAuthenticatedError, NotFoundError, WrongMomentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from pwdlib import PasswordHash

logger = logging.getLogger(__name__)
STRANGERS = 1000
"""Unknown names whose failures are remembered; the oldest is forgotten."""
AT_ONCE = 2
"""Passwords hashed at the same time: argon2 takes a core and 32 MiB for each."""
_WRONG = "user name or password is wrong"


@dataclass(frozen=True, slots=True)
class User:
    """One account as others may see it."""

    name: str
    display_name: str
    roles: tuple[Role, ...]
    must_change_password: bool
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Account:
    user: User
    password_hash: str
    door: Door


@dataclass(frozen=True, slots=True)
class Login:
    """An open login: give `token` to its owner and to nobody else."""

    user: User
    token: str
    expires_at: datetime


def new_password() -> str:
    """Return a random password of about 100 bits."""
    return secrets.token_urlsafe(13)


class Users:
    """The accounts of one centre; call `start` first. Implements `gateway.web.auth.Authenticator`."""

    def __init__(
        self, store: Store, clock: Clock, metrics: Metrics, settings: UsersSection, *, centre: str, key_file: Path
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._centre = centre
        self._key_file = key_file
        self._key: Ed25519PrivateKey | None = None
        self._hasher: PasswordHash | None = None
        self._hashing = asyncio.Semaphore(AT_ONCE)
        self._accounts: dict[str, _Account] = {}
        self._sessions: dict[str, tuple[str, datetime]] = {}
        self._strangers: OrderedDict[str, Door] = OrderedDict()

    async def start(self) -> None:
        """Load accounts and logins; forget the logins that have ended."""
        from pwdlib import PasswordHash
        from pwdlib.hashers.argon2 import Argon2Hasher

        # Above OWASP's floor (19 MiB, 2 passes, 1 lane); one lane, because the other cores carry pictures.
        self._hasher = PasswordHash((Argon2Hasher(time_cost=3, memory_cost=32 * 1024, parallelism=1),))
        self._key = await asyncio.to_thread(load_or_make_key, self._key_file)
        async with self._store.unit() as unit:
            await unit.execute(delete(SESSIONS).where(SESSIONS.c.expires_at <= unit.now))
        async with self._store.reading() as reader:
            rows = (await reader.execute(select(USERS))).mappings().all()
            logins = (await reader.execute(select(SESSIONS))).mappings().all()
        self._accounts = {row["name"]: _account(dict(row)) for row in rows}
        self._sessions = {row["id"]: (row["user"], row["expires_at"]) for row in logins}
        self._metrics.live("sessions", lambda: [((), float(len(self._sessions)))])

    async def ensure_first_login(self, file: Path) -> None:
        """Make the first account where there is none, and write its password to `file` (mode 0600), once."""
        if self._accounts:
            return
        name, password = self._settings.first_login, new_password()
        # The file comes first: an account whose password nobody can know would be worse than a file without account.
        text = (
            f"用户名 user: {name}\n初始密码 password: {password}\n首次登录须修改密码。Change it at the first login.\n"
        )
        await asyncio.to_thread(write_secret, file, text.encode())
        await self.create(name, "系统管理员", (Role.OPERATIONS,), password)
        logger.warning("first login made", extra={"user": name, "file": str(file)})

    def users(self) -> tuple[User, ...]:
        """Return all accounts, ordered by name."""
        return tuple(self._accounts[name].user for name in sorted(self._accounts))

    async def create(
        self, name: str, display_name: str, roles: tuple[Role, ...], password: str, *, must_change: bool = True
    ) -> User:
        """Make an account; raises WrongMomentError where the name is taken, BadInputError for a weak password."""
        check_password(password, name)
        if name in self._accounts:
            raise WrongMomentError(f"the user {name} exists already")
        hashed = await self._hash(password)
        async with self._store.unit() as unit:
            row = {
                "name": name,
                "display_name": display_name,
                "roles": sorted(roles),
                "password_hash": hashed,
                "must_change_password": must_change,
                "disabled": False,
                "created_at": unit.now,
                "password_changed_at": unit.now,
                "failures": 0,
                "locked_until": None,
            }
            taken = (await unit.execute(select(USERS.c.name).where(USERS.c.name == name))).first()
            if taken is not None:
                raise WrongMomentError(f"the user {name} exists already")
            await unit.execute(insert(USERS), row)
        account = self._accounts[name] = _account(row)
        return account.user

    async def login(self, name: str, password: str) -> Login:
        """Open a login; raises LockedError, NotAuthenticatedError. Failures are counted and logged."""
        return await self._open(await self._proven(name, password))

    async def confirm(self, name: str, password: str) -> str:
        """Prove a signature: returns the person's shown name and opens no login. Fails and locks as `login` does."""
        return (await self._proven(name, password)).user.display_name

    async def _proven(self, name: str, password: str) -> _Account:
        account = self._accounts.get(name)
        door = account.door if account is not None else self._strangers.get(name, Door())
        wait = door.wait_s(self._clock.now())
        if wait is not None:
            self._refused(name, "locked")
            raise LockedError(f"too many failures; try again in {wait} seconds", wait)
        right = await self._verify(password, account.password_hash if account is not None else None)
        if account is None or not right or account.user.disabled:
            await self._failed(name)
            raise NotAuthenticatedError(_WRONG)
        return account

    async def authenticate(self, token: str) -> Caller:
        """Return the person behind a token; raises NotAuthenticatedError. From memory: it never waits for the disk."""
        session_id = self._session_of(token)
        user, expires_at = self._sessions.get(session_id, ("", None))
        account = self._accounts.get(user)
        if expires_at is None or account is None or account.user.disabled or self._clock.now() >= expires_at:
            raise NotAuthenticatedError("the login has ended; log in again")
        found = account.user
        return Caller(found.name, found.display_name, frozenset(found.roles), session_id, found.must_change_password)

    async def logout(self, session_id: str) -> None:
        """End one login; harmless when repeated."""
        async with self._store.unit() as unit:
            await unit.execute(delete(SESSIONS).where(SESSIONS.c.id == session_id))
        self._sessions.pop(session_id, None)

    async def change_password(self, caller: Caller, old: str, new: str) -> User:
        """Change the own password and end the account's other logins; raises NotAuthenticatedError, LockedError."""
        account = self._accounts[caller.user]
        wait = account.door.wait_s(self._clock.now())
        if wait is not None:
            raise LockedError(f"too many failures; try again in {wait} seconds", wait)
        if not await self._verify(old, account.password_hash):
            await self._failed(caller.user)
            raise NotAuthenticatedError("the old password is wrong")
        check_password(new, caller.user)
        if old == new:
            raise BadInputError("the new password must differ from the old one")
        return await self._set_password(caller.user, new, must_change=False, keep=caller.session_id)

    async def reset_password(self, name: str) -> str:
        """Give an account a new first password, end its logins and its lock; raises NotFoundError."""
        if name not in self._accounts:
            raise NotFoundError(f"no user {name}")
        password = new_password()
        await self._set_password(name, password, must_change=True, keep="")
        return password

    async def change(self, name: str, *, roles: tuple[Role, ...] | None = None, disabled: bool | None = None) -> User:
        """Change roles or shut an account; a shut account's logins end at once. Raises NotFoundError."""
        if name not in self._accounts:
            raise NotFoundError(f"no user {name}")
        values: dict[str, Any] = {}
        if roles is not None:
            values["roles"] = sorted(roles)
        if disabled is not None:
            values["disabled"] = disabled
        async with self._store.unit() as unit:
            if values:
                await unit.execute(update(USERS).where(USERS.c.name == name).values(**values))
            if disabled:
                await unit.execute(delete(SESSIONS).where(SESSIONS.c.user == name))
        user = self._accounts[name].user
        user = replace(user, roles=tuple(sorted(roles)) if roles is not None else user.roles)
        user = replace(user, disabled=user.disabled if disabled is None else disabled)
        self._accounts[name] = replace(self._accounts[name], user=user)
        if disabled:
            self._sessions = {i: s for i, s in self._sessions.items() if s[0] != name}
        return user

    async def _set_password(self, name: str, password: str, *, must_change: bool, keep: str) -> User:
        hashed = await self._hash(password)
        others = (SESSIONS.c.user == name) & (SESSIONS.c.id != keep)
        async with self._store.unit() as unit:
            values = {"password_hash": hashed, "must_change_password": must_change, "password_changed_at": unit.now}
            values |= {"failures": 0, "locked_until": None}
            await unit.execute(update(USERS).where(USERS.c.name == name).values(**values))
            await unit.execute(delete(SESSIONS).where(others))
        user = replace(self._accounts[name].user, must_change_password=must_change)
        self._accounts[name] = _Account(user, hashed, Door())
        self._sessions = {i: s for i, s in self._sessions.items() if s[0] != name or i == keep}
        return user

    async def _open(self, account: _Account) -> Login:
        import jwt

        name, session_id = account.user.name, new_ulid(self._clock)
        async with self._store.unit() as unit:
            expires_at = unit.now + timedelta(hours=self._settings.session_hours)
            row = {"id": session_id, "user": name, "created_at": unit.now, "expires_at": expires_at}
            await unit.execute(insert(SESSIONS), row)
            if account.door != Door():
                await unit.execute(update(USERS).where(USERS.c.name == name).values(failures=0, locked_until=None))
        self._accounts[name] = replace(self._accounts[name], door=Door())
        self._sessions[session_id] = (name, expires_at)
        claims = {"iss": self._centre, "sid": session_id, "use": "session"}
        return Login(account.user, jwt.encode(claims, self._signing_key(), algorithm="EdDSA"), expires_at)

    def _session_of(self, token: str) -> str:
        import jwt

        try:
            public = self._signing_key().public_key()
            claims = jwt.decode(token, public, algorithms=["EdDSA"], issuer=self._centre, options={"require": ["sid"]})
        except jwt.InvalidTokenError:
            raise NotAuthenticatedError("the session token is not valid here; log in again") from None
        if claims.get("use") != "session":
            raise NotAuthenticatedError("this token does not open a session")
        return str(claims["sid"])

    def _signing_key(self) -> "Ed25519PrivateKey":
        if self._key is None:
            raise AssertionError("start() was not called")
        return self._key

    async def _failed(self, name: str) -> None:
        now, limit, lock_s = self._clock.now(), self._settings.failures, self._settings.lock_s
        self._refused(name, "wrong")
        account = self._accounts.get(name)
        if account is None:
            self._strangers[name] = self._strangers.pop(name, Door()).failed(now, limit, lock_s)
            while len(self._strangers) > STRANGERS:
                self._strangers.popitem(last=False)
            return
        door = account.door.failed(now, limit, lock_s)
        self._accounts[name] = replace(account, door=door)
        async with self._store.unit() as unit:
            values = {"failures": door.failures, "locked_until": door.locked_until}
            await unit.execute(update(USERS).where(USERS.c.name == name).values(**values))

    def _refused(self, name: str, reason: str) -> None:
        self._metrics.count("login_failures_total", reason=reason)
        logger.warning("login refused", extra={"user": name, "reason": reason})

    async def _hash(self, password: str) -> str:
        hasher = self._need_hasher()
        async with self._hashing:
            return await asyncio.to_thread(hasher.hash, password)

    async def _verify(self, password: str, hashed: str | None) -> bool:
        hasher = self._need_hasher()
        async with self._hashing:
            if hashed is None:
                await asyncio.to_thread(hasher.hash, password)  # as long as a wrong password takes
                return False
            return await asyncio.to_thread(hasher.verify, password, hashed)

    def _need_hasher(self) -> "PasswordHash":
        if self._hasher is None:
            raise AssertionError("start() was not called")
        return self._hasher


def _account(row: Mapping[str, Any]) -> _Account:
    roles = tuple(Role(role) for role in row["roles"])
    flags = (bool(row["must_change_password"]), bool(row["disabled"]))
    user = User(row["name"], row["display_name"], roles, *flags, row["created_at"])
    return _Account(user, row["password_hash"], Door(row["failures"], row["locked_until"]))
