"""HTTP of the replicas: who lives, who leads, who consumes how many branches and carries how many streams."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.ports.bus import BusHealth
from gateway.replicas.service import Replicas
from gateway.web.auth import EVERYBODY, Caller, require


class ReplicaView(BaseModel):
    """One process of this gateway; `alive` while it was seen within the time of a lease.

    `streams`: how many pictures come in there; null where none are placed, because the one that leads does not reach
    its engine, or it does not live.
    """

    id: str
    name: str
    url: str
    version: str
    since: datetime
    seen_until: datetime
    alive: bool
    leads: bool
    branches: int
    streams: int | None


class BusView(BaseModel):
    """The bus between the replicas, as the leading one sees it."""

    kind: str
    up: bool
    detail: str
    waiting: int
    given_up: int
    missed: int


class ReplicaList(BaseModel):
    """All replicas seen within the hour, by name; none where this gateway is one process. `bus` is null then."""

    items: list[ReplicaView]
    bus: BusView | None


def routes(
    replicas: Replicas | None, bus: Callable[[], BusHealth] | None, streams: Callable[[], dict[str, int]] = dict
) -> APIRouter:
    """Return the routes; both are None where this gateway is one process. `streams` are counted by name."""
    api = APIRouter(prefix="/api/v1", tags=["replicas"])

    @api.get("/replicas")
    async def listed(_: Annotated[Caller, require(*EVERYBODY)]) -> ReplicaList:
        """List the replicas of this gateway."""
        if replicas is None or bus is None:
            return ReplicaList(items=[], bus=None)
        living = {one.id for one in replicas.living()}
        health, carried = bus(), streams()
        return ReplicaList(
            items=[
                ReplicaView(
                    id=one.id,
                    name=one.name,
                    url=one.url,
                    version=one.version,
                    since=one.since,
                    seen_until=one.until,
                    alive=one.id in living,
                    leads=one.leads,
                    branches=one.branches,
                    streams=carried.get(one.name) if one.id in living else None,
                )
                for one in replicas.all()
            ],
            bus=BusView.model_validate(health, from_attributes=True),
        )

    return api
