"""Work on a gateway's state without serving: first accounts, enrolment tokens, database and authority.

Used by `silian provision`, `silian user` and `silian enrol-token`, and by the demo. Everything may be repeated: what is
there is kept. A running gateway keeps much of its state in memory, therefore this works only while it does not run; the
command line then asks its API instead (`gateway.remote`).
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from gateway.adapters.store_choice import choose_store
from gateway.audit.service import Audit
from gateway.enrolment.authority import Authority
from gateway.enrolment.service import Enrolment, NewToken
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.state_lock import StateLock
from gateway.users.service import User, Users, new_password
from gateway.web.auth import Role
from gateway.web.journal import AuditEntry
from protocols.aio.clock import SystemClock
from protocols.enrolment import BrokerPlace
from protocols.ids import NodeId

ACTOR = "command-line"


class WantedUser(BaseModel):
    """An account to be made; without a password one is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_.-]{1,31}$")
    display_name: str = Field(min_length=1, max_length=64)
    roles: tuple[Role, ...] = Field(min_length=1)
    password: str | None = None


class Wish(BaseModel):
    """What `silian provision` reads from standard input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[WantedUser, ...] = ()
    nodes: tuple[NodeId, ...] = ()


class MadeUser(BaseModel):
    """An account that is there now; `password` is None where it was there before."""

    name: str
    roles: tuple[Role, ...]
    password: str | None


class Made(BaseModel):
    """What `silian provision` answers."""

    centre: str
    ca_sha256: str
    users: tuple[MadeUser, ...]
    tokens: dict[str, str]


@dataclass(frozen=True, slots=True)
class Workshop:
    """The parts that work without serving."""

    settings: Settings
    users: Users
    enrolment: Enrolment
    audit: Audit

    async def make_user(self, wanted: WantedUser) -> MadeUser:
        """Make an account unless its name is there."""
        known = {user.name: user for user in self.users.users()}.get(wanted.name)
        if known is not None:
            return MadeUser(name=known.name, roles=known.roles, password=None)
        password = wanted.password or new_password()
        must_change = wanted.password is None
        made = await self.users.create(
            wanted.name, wanted.display_name, wanted.roles, password, must_change=must_change
        )
        await self._journal("user add", wanted.name)
        return MadeUser(name=made.name, roles=made.roles, password=password)

    async def invite(self, node: str) -> NewToken:
        """Make a one-time token for `node`."""
        made = await self.enrolment.invite(node, ACTOR)
        await self._journal("enrol-token", node)
        return made

    async def _journal(self, action: str, target: str) -> None:
        await self.audit.record(AuditEntry(ACTOR, action, target, 0))


@asynccontextmanager
async def workshop(settings: Settings) -> AsyncIterator[Workshop]:
    """Open the parts; raises ConfigError while the gateway runs."""
    clock, metrics, node = SystemClock(), Metrics(), settings.centre.code
    state = settings.state.dir.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        stack.enter_context(StateLock(state / "gateway.lock"))
        authority = Authority.load(settings.pki_dir, node, clock.now())
        async with choose_store(settings, clock, lambda _event: None) as store:
            key_file = state / "keys" / "session.key"
            users = Users(store, clock, metrics, settings.users, centre=node, key_file=key_file)
            await users.start()
            place = BrokerPlace(host=settings.broker.host, port=settings.broker.port)
            table = settings.centres()
            enrolment = Enrolment(store, authority, table, settings.enrolment, lambda: place, metrics)
            yield Workshop(settings, users, enrolment, Audit(store, metrics))


async def provision(settings: Settings, wish: Wish) -> Made:
    """Carry out a wish; users that are there keep their passwords, tokens are always new."""
    async with workshop(settings) as shop:
        made = [await shop.make_user(wanted) for wanted in wish.users]
        tokens = {node: str((await shop.invite(node)).token) for node in wish.nodes}
        ca = shop.enrolment.authority.sha256
    return Made(centre=settings.centre.code, ca_sha256=ca, users=tuple(made), tokens=tokens)


async def add_user(settings: Settings, wanted: WantedUser) -> MadeUser:
    """Make one account while the gateway does not run."""
    async with workshop(settings) as shop:
        return await shop.make_user(wanted)


async def list_users(settings: Settings) -> tuple[User, ...]:
    """Return all accounts."""
    async with workshop(settings) as shop:
        return shop.users.users()


async def enrol_token(settings: Settings, node: str) -> NewToken:
    """Make a one-time token for a node."""
    async with workshop(settings) as shop:
        return await shop.invite(node)
