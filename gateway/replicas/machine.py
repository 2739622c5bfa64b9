"""Leases: who may do what only one replica may do.

**Two replicas never act under one lease: whoever writes because of it shows his token in the same transaction**, and a
token is out of date as soon as another replica has claimed the lease. The time of a lease only decides when it may be
claimed; so a clock that is wrong, or a process that was paused, costs a change of hands and never a double act.

::

    lease                       seen by its holder          seen by another replica
    stands                      renewed, same token         left alone
    has run out                 renewed, next token         claimed with the next token, if it is wanted
    stands, wanted elsewhere    given, next token           -

An agent's branch belongs to the replica that rendezvous hashing names among the living, so all agree without a word and
few branches move when one comes or goes. The lead stays with whoever has it. **Branches of gateways go with the lead**:
what they tell of roll calls, calls and duty concerns rooms that only the leader has open.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from protocols.ids import is_gateway

LEAD = "lead"
"""The lease of the replica that leads: timers and schedulers, the uplink, pictures and calls."""
TTL_S = 8.0
"""So long after a replica fell silent others take its work."""
BEAT_S = 2.0
BRANCH = "branch/"


def branch_of(node: str) -> str:
    """Return the lease of an agent's branch."""
    return f"{BRANCH}{node}"


def lease_of(node: str) -> str:
    """Return the lease under which the branch of a node is consumed."""
    return LEAD if is_gateway(node) else branch_of(node)


@dataclass(frozen=True, slots=True)
class Lease:
    """One row; `token` counts up with each change of hands."""

    resource: str
    holder: str
    token: int
    until: datetime

    def stands(self, now: datetime) -> bool:
        """Tell whether its time has not run out."""
        return now < self.until


def claimed(lease: Lease | None, resource: str, me: str, now: datetime) -> Lease | None:
    """Return the lease as `me` may hold it from now on; None while another holds it."""
    until = now + timedelta(seconds=TTL_S)
    if lease is None:
        return Lease(resource, me, 1, until)
    if lease.stands(now):
        return replace(lease, until=until) if lease.holder == me else None
    return Lease(resource, me, lease.token + 1, until)


def in_force(lease: Lease | None, me: str, token: int) -> bool:
    """Tell whether nobody has claimed it since `me` was given this token: the fence."""
    return lease is not None and lease.holder == me and lease.token == token


def preferred(resource: str, living: Collection[str]) -> str | None:
    """Return the replica that should hold a branch: the highest of the hashes (rendezvous hashing)."""
    return max(living, key=lambda one: hashlib.blake2b(f"{resource}\0{one}".encode()).digest(), default=None)


@dataclass(frozen=True, slots=True)
class Round:
    """One look at the leases: rows to be written, and the tokens that are ours once they are."""

    writes: tuple[Lease, ...]
    mine: Mapping[str, int]


def look(leases: Mapping[str, Lease], wanted: Iterable[str], living: Collection[str], me: str, now: datetime) -> Round:
    """Decide what `me` renews, claims and gives. `living` includes `me`; `wanted` is all the work that there is."""
    writes: list[Lease] = []
    mine: dict[str, int] = {}
    for resource in sorted({*wanted, *leases}):
        lease = leases.get(resource)
        heir = me if resource == LEAD else preferred(resource, living)
        ours = lease is not None and lease.holder == me
        if heir == me or (ours and heir is None):
            taken = claimed(lease, resource, me, now)
            if taken is not None:
                writes.append(taken)
                mine[resource] = taken.token
        elif lease is not None and ours and heir is not None and lease.stands(now):
            writes.append(Lease(resource, heir, lease.token + 1, now + timedelta(seconds=TTL_S)))
    return Round(tuple(writes), mine)


@dataclass(slots=True)
class Tenure:
    """What this process may still believe to hold, by its own monotonic clock: a pause ends it without a word."""

    tokens: dict[str, int] = field(default_factory=dict)
    until: float = 0.0

    def renewed(self, mine: Mapping[str, int], asked_at: float) -> None:
        """Take the outcome of a round that began at `asked_at`: the time runs from there, not from the answer."""
        self.tokens = dict(mine)
        self.until = asked_at + TTL_S

    def token(self, resource: str, now: float) -> int | None:
        """Return the token of a lease that is held at monotonic time `now`, else None."""
        return self.tokens.get(resource) if now < self.until else None

    def held(self, now: float) -> frozenset[str]:
        """Return all that is held at monotonic time `now`."""
        return frozenset(self.tokens) if now < self.until else frozenset()
