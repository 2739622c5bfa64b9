"""What people do with a roster besides writing it: swaps with approval, handing over with two signatures, signing in.

A swap that is approved is a new version of its day. A handover freezes the open items with a hash; both names stand
under it, the taking one proven by its password.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update

from gateway.duty.machine import around, standing, substituted
from gateway.duty.needs import OpenItem
from gateway.duty.rows import days_of, people_of, write_day
from gateway.duty.service import DutyService
from gateway.duty.tables import HANDOVERS, PRESENCE, SWAPS
from protocols.aio.clock import new_ulid
from protocols.errors import BadInputError, NotAllowedError, NotAuthenticatedError, NotFoundError, WrongMomentError

PAGE = 100


@dataclass(frozen=True, slots=True)
class Swap:
    """Who wants to be replaced by whom in which shift; persons are ids."""

    day: date
    shift: str
    out_person: str
    in_person: str
    reason: str = ""


class Deeds:
    """Swaps, handovers and presence of the duty room."""

    def __init__(self, room: DutyService) -> None:
        self._room = room
        self._needs = room.needs

    # Swaps.

    async def ask(self, swap: Swap, *, by: str) -> dict[str, Any]:
        """Ask for a substitute; raises BadInputError where the person does not sit there."""
        row: dict[str, Any] = {
            "id": new_ulid(self._needs.clock),
            "day": swap.day,
            "shift": swap.shift,
            "out_person": swap.out_person,
            "in_person": swap.in_person,
            "reason": swap.reason,
            "state": "asked",
            "asked_by": by,
        }
        async with self._needs.store.unit() as uow:
            await self._substituted(uow, row)
            await uow.execute(insert(SWAPS), {**row, "asked_at": uow.now})
            self._room.changed(uow)
        return await self.swap(row["id"])

    async def _substituted(self, uow: Any, row: Any) -> Any:
        person = (await people_of(uow)).get(row["in_person"])
        (day,) = await days_of(uow, self._room.centre, [row["day"]])
        if person is None or not person.valid(day.day):
            raise BadInputError("the substitute is not on the staff list that day")
        made = substituted(day, row["shift"], row["out_person"], person)
        if made is None:
            raise BadInputError(f"the person does not sit in {row['shift']} of {row['day']} any more")
        target = next(shift for shift in day.shifts if shift.name == row["shift"])
        if person.id in {seat.person for seat in target.seats}:
            raise BadInputError(f"{person.name} sits in that shift already")
        return made

    async def decide(self, ident: str, *, approve: bool, by: str) -> dict[str, Any]:
        """Approve or refuse; an approval writes the day anew.

        Raises NotFoundError, WrongMomentError where it is decided, NotAllowedError for the one who asked.
        """
        async with self._needs.store.unit() as uow:
            row = (await uow.execute(select(SWAPS).where(SWAPS.c.id == ident))).mappings().one_or_none()
            if row is None:
                raise NotFoundError(f"no swap {ident}")
            if row["state"] != "asked":
                raise WrongMomentError(f"the swap was {row['state']} by {row['decided_by']}")
            if row["asked_by"] == by:
                raise NotAllowedError("who asks for a swap does not approve it: somebody else must")
            version = None
            if approve:
                made = await self._substituted(uow, row)
                written = await write_day(uow, made, made.version, by=by, note=f"swap {ident}")
                version = written.version
            state = "approved" if approve else "refused"
            values = {"state": state, "decided_by": by, "decided_at": uow.now, "version": version}
            await uow.execute(update(SWAPS).where(SWAPS.c.id == ident).values(**values))
            self._room.changed(uow)
        return await self.swap(ident)

    async def swap(self, ident: str) -> dict[str, Any]:
        """Return one swap; raises NotFoundError."""
        async with self._needs.store.reading() as reader:
            row = (await reader.execute(select(SWAPS).where(SWAPS.c.id == ident))).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"no swap {ident}")
        return dict(row)

    async def swaps(self) -> list[dict[str, Any]]:
        """Return the newest swaps."""
        return await self._newest(select(SWAPS).order_by(SWAPS.c.id.desc()))

    # Handovers.

    async def items(self) -> Sequence[OpenItem]:
        """Return what lies open now."""
        return await self._needs.items.open_items()

    async def hand_over(self, *, given_by: str, taken_by: str, password: str, remarks: str) -> dict[str, Any]:
        """Sign a handover for both; a wrong password counts against the account as at a login.

        Raises WrongMomentError while a red item has no owner, BadInputError, NotAllowedError, LockedError.
        """
        if given_by == taken_by:
            raise BadInputError("a handover needs two people")
        items = await self.items()
        red = [item for item in items if item.red]
        if red:
            raise WrongMomentError(f"{len(red)} red items have no owner yet: {red[0].text}; acknowledge them first")
        try:
            await self._needs.signatures.confirm(taken_by, password)
        except NotAuthenticatedError as error:
            # 401 would end the login of the giver, whose session is good.
            raise NotAllowedError(str(error)) from None
        content = [item.model_dump(mode="json") for item in items]
        row = {"id": new_ulid(self._needs.clock), "given_by": given_by, "taken_by": taken_by, "remarks": remarks}
        async with self._needs.store.unit() as uow:
            signed = {**row, "at": uow.now.isoformat(), "items": content}
            plain = json.dumps(signed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            made = {**row, "at": uow.now, "items": content, "hash": hashlib.sha256(plain.encode()).hexdigest()}
            await uow.execute(insert(HANDOVERS), made)
            self._room.changed(uow)
        return made

    async def handovers(self) -> list[dict[str, Any]]:
        """Return the newest handovers."""
        return await self._newest(select(HANDOVERS).order_by(HANDOVERS.c.id.desc()))

    # Presence.

    async def sign_in(self, person: str, *, by: str) -> dict[str, Any]:
        """Note that a person of the present shift is at his post; raises NotFoundError, WrongMomentError if he is."""
        async with self._needs.store.unit() as uow:
            days = await days_of(uow, self._room.centre, around(uow.now))
            seats = [(d, s) for d, s in standing(days, uow.now) if person in {seat.person for seat in s.seats}]
            if not seats:
                raise NotFoundError("the person is in no shift that stands now")
            day, shift = seats[0]
            open_ = select(PRESENCE.c.id).where(PRESENCE.c.person == person, PRESENCE.c.out_at.is_(None))
            if (await uow.execute(open_)).first() is not None:
                raise WrongMomentError("the person is signed in already")
            row = {"id": new_ulid(self._needs.clock), "person": person, "day": day.day, "shift": shift.name}
            made = {**row, "in_at": uow.now, "out_at": None, "by": by}
            await uow.execute(insert(PRESENCE), made)
            self._room.changed(uow)
        return made

    async def sign_out(self, person: str) -> None:
        """Note that a person left his post; raises NotFoundError where he is not signed in."""
        async with self._needs.store.unit() as uow:
            here = (PRESENCE.c.person == person) & PRESENCE.c.out_at.is_(None)
            done = await uow.execute(update(PRESENCE).where(here).values(out_at=uow.now))
            if not done.rowcount:
                raise NotFoundError("the person is not signed in")
            self._room.changed(uow)

    async def presence(self) -> list[dict[str, Any]]:
        """Return the newest signings."""
        return await self._newest(select(PRESENCE).order_by(PRESENCE.c.id.desc()))

    async def _newest(self, statement: Any) -> list[dict[str, Any]]:
        async with self._needs.store.reading() as reader:
            return [dict(row) for row in (await reader.execute(statement.limit(PAGE))).mappings().all()]
