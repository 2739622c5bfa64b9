"""Calls that wait for the caller's word: rows, so that a restart neither loses one nor makes one again.

An offer ends when it is taken or declined, or with the alarm that gave the reason.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update

from gateway.events import OfferChanged
from gateway.ports.store import Store
from gateway.rollcall.rules.profiles import TriggerSource
from gateway.rollcall.rules.trigger import Offer, Reason
from gateway.rollcall.tables import OFFERS
from protocols.aio.clock import Clock
from protocols.errors import NotFoundError

REMEMBERED: Final = timedelta(days=7)
"""An alarm that changes after this time may give reason again."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A call that waits for the caller's word."""

    id: str
    at: datetime
    offer: Offer


class Offers:
    """All offers of a gateway; those that wait are kept in memory too."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[str, Offered] = {}

    async def load(self) -> set[str]:
        """Read what waited before the start; returns the alarms that gave an offer lately, ended or not."""
        newer = OFFERS.c.at > self._clock.now() - REMEMBERED
        async with self._store.reading() as reader:
            rows = (await reader.execute(select(OFFERS).where(newer))).mappings().all()
        self._waiting |= {row["id"]: _read(row) for row in rows if row["ended_at"] is None}
        return {row["reason"]["id"] for row in rows}

    @property
    def waiting(self) -> list[Offered]:
        """Those that wait, the newest first."""
        return sorted(self._waiting.values(), key=lambda one: one.id, reverse=True)

    def get(self, ident: str) -> Offered:
        """Return one that waits; raises NotFoundError."""
        one = self._waiting.get(ident)
        if one is None:
            raise NotFoundError(f"no offer {ident}: it was taken or declined already")
        return one

    def of(self, alarm_id: str) -> list[Offered]:
        """Return those that wait and whose reason is an alarm, the newest first."""
        found = [one for one in self._waiting.values() if one.offer.reason.id == alarm_id]
        return sorted(found, key=lambda one: one.id, reverse=True)

    async def put(self, one: Offered) -> None:
        """Store a new one and tell the screens."""
        reason = one.offer.reason
        row = {
            "id": one.id,
            "at": one.at,
            "reason": {
                "source": reason.source.value,
                "id": reason.id,
                "centre": reason.centre,
                "severity": reason.severity,
                "event_type": reason.event_type,
                "headline": reason.headline,
            },
            "centres": list(one.offer.centres),
            "automatic": one.offer.automatic,
            "ended_at": None,
            "ended_by": None,
        }
        async with self._store.unit() as uow:
            await uow.put(OFFERS, [row])
            uow.tell(OfferChanged(one.id))
        self._waiting[one.id] = one

    async def end(self, idents: Collection[str], by: str) -> None:
        """End offers: by a person who took or declined them, or `alarm` with what gave the reason."""
        async with self._store.unit() as uow:
            mine = OFFERS.c.id.in_(sorted(idents))
            await uow.execute(update(OFFERS).where(mine).values(ended_at=uow.now, ended_by=by))
            for ident in idents:
                uow.tell(OfferChanged(ident))
        for ident in idents:
            self._waiting.pop(ident, None)


def _read(row: Any) -> Offered:
    told = row["reason"] | {"source": TriggerSource(row["reason"]["source"])}
    return Offered(row["id"], row["at"], Offer(Reason(**told), tuple(row["centres"]), row["automatic"]))
