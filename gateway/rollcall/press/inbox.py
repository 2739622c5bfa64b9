"""At the unit: how it stands in roll calls of the tiers above, its objection, and the bulletins it signs for (签收)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table, insert, select, update

from gateway.events import RollCallChanged
from gateway.ports.store import UnitOfWork
from gateway.rollcall.press.needs import PressNeeds
from gateway.rollcall.press.tables import RECEIVED, RESULTS
from gateway.rollcall.rules.bulletin import cells_hash, seal
from protocols.aio.clock import new_ulid
from protocols.bulletin import ANSWERED, OBJECTED, Answered, BulletinSent, Objected, UnitResult
from protocols.command import Command, parse_args
from protocols.envelope import Lane
from protocols.errors import BadSchemaError, NotFoundError, WrongMomentError

PAGE = 100


class Inbox:
    """Carries out `rollcall.result` and `rollcall.bulletin`."""

    def __init__(self, needs: PressNeeds) -> None:
        self._needs = needs

    # from above

    async def on_result(self, command: Command) -> dict[str, Any]:
        """Keep how this unit stands; a second confirmation replaces the first as long as nobody objected."""
        args = parse_args(UnitResult, command.args)
        async with self._needs.store.unit() as uow:
            known = (await uow.execute(select(RESULTS).where(RESULTS.c.roll_call_id == args.roll_call_id))).first()
            if known is None:
                row = {"roll_call_id": args.roll_call_id, "origin": command.origin, "received_at": uow.now}
                await uow.execute(insert(RESULTS), [row | {"data": args.model_dump(mode="json")}])
                uow.tell(RollCallChanged(args.roll_call_id))
        return {}

    async def on_bulletin(self, command: Command) -> dict[str, Any]:
        """Keep a bulletin whose seal and own line agree, and say that it is stored; raises BadSchemaError."""
        args = parse_args(BulletinSent, command.args)
        if seal(args.content) != args.seal:
            raise BadSchemaError("the seal does not fit the bulletin: it was changed on its way")
        if args.content.get("lines", {}).get(args.centre) != cells_hash(args.line):
            raise BadSchemaError("the unit's line does not fit the bulletin: it was changed on its way")
        async with self._needs.store.unit() as uow:
            known = (await uow.execute(select(RECEIVED.c.id).where(RECEIVED.c.id == args.bulletin_id))).first()
            if known is None:
                await uow.execute(insert(RECEIVED), [_row(uow, command, args)])
                await self._say(uow, args.bulletin_id, args.version, "stored")
                uow.tell(RollCallChanged(args.roll_call_id))
        return {}

    # what people here say

    async def object_to(self, roll_call_id: str, reason: str, *, by: str) -> None:
        """Dispute this unit's result; raises NotFoundError, WrongMomentError after the window or a second time."""
        async with self._needs.store.unit() as uow:
            row = await _one(uow, RESULTS, RESULTS.c.roll_call_id == roll_call_id, f"no result of {roll_call_id} here")
            data = UnitResult.model_validate(row.data)
            if row.objection_id is not None:
                raise WrongMomentError(f"{row.objected_by} objected already")
            if uow.now > data.objections_until:
                raise WrongMomentError("the objections window is over; ask the centre above for a correction")
            id_ = new_ulid(self._needs.clock)
            said = Objected(
                objection_id=id_,
                roll_call_id=roll_call_id,
                centre=self._needs.area.own().code,
                by=by,
                reason=reason.strip(),
                at=uow.now,
            )
            event = uow.mint(OBJECTED, said.model_dump(mode="json"), subject=roll_call_id, drill=data.drill)
            await self._needs.links.emit(uow, event, Lane.LIVE)
            values = {"objection_id": id_, "objected_by": by, "objected_at": uow.now, "reason": reason.strip()}
            await uow.execute(update(RESULTS).where(RESULTS.c.roll_call_id == roll_call_id).values(**values))
            uow.tell(RollCallChanged(roll_call_id))

    async def sign(self, bulletin_id: str, feedback: str, *, by: str) -> None:
        """Sign for a bulletin in the name of this unit; raises NotFoundError, WrongMomentError a second time."""
        async with self._needs.store.unit() as uow:
            row = await _one(uow, RECEIVED, RECEIVED.c.id == bulletin_id, f"no bulletin {bulletin_id} here")
            if row.signed_at is not None:
                raise WrongMomentError(f"{row.signed_by} signed for it already")
            await self._say(uow, bulletin_id, row.version, "signed", by, feedback.strip(), drill=row.drill)
            values = {"signed_by": by, "signed_at": uow.now, "feedback": feedback.strip()}
            await uow.execute(update(RECEIVED).where(RECEIVED.c.id == bulletin_id).values(**values))
            uow.tell(RollCallChanged(row.roll_call_id))

    async def _say(
        self,
        uow: UnitOfWork,
        bulletin_id: str,
        version: int,
        answer: Any,
        by: str = "",
        feedback: str = "",
        *,
        drill: bool = False,
    ) -> None:
        centre = self._needs.area.own().code
        said = Answered(
            bulletin_id=bulletin_id, centre=centre, version=version, answer=answer, by=by, feedback=feedback, at=uow.now
        )
        event = uow.mint(ANSWERED, said.model_dump(mode="json"), subject=bulletin_id, drill=drill)
        await self._needs.links.emit(uow, event, Lane.LIVE)

    # reading

    def centre_name(self, code: str) -> str:
        """Return the name of the centre that a bulletin comes from, its code where it is not in the table."""
        table = self._needs.area.table
        return table[code].name if code in table else code

    async def results(self) -> list[dict[str, Any]]:
        """Return how this unit stands in roll calls from above, the newest first."""
        newest = select(RESULTS).order_by(RESULTS.c.received_at.desc()).limit(PAGE)
        return [row.pop("data") | row for row in await self._rows(newest)]

    async def bulletins(self) -> list[dict[str, Any]]:
        """Return the bulletins that came, the newest first."""
        return await self._rows(select(RECEIVED).order_by(RECEIVED.c.published_at.desc()).limit(PAGE))

    async def bulletin(self, bulletin_id: str) -> dict[str, Any]:
        """Return one bulletin that came; raises NotFoundError."""
        found = await self._rows(select(RECEIVED).where(RECEIVED.c.id == bulletin_id))
        if not found:
            raise NotFoundError(f"no bulletin {bulletin_id} here")
        return found[0]

    async def _rows(self, statement: Any) -> list[dict[str, Any]]:
        async with self._needs.store.reading() as reader:
            return [dict(row) for row in (await reader.execute(statement)).mappings().all()]


async def _one(uow: UnitOfWork, table: Table, which: Any, missing: str) -> Row[Any]:
    row = (await uow.execute(select(table).where(which))).one_or_none()
    if row is None:
        raise NotFoundError(missing)
    return row


def _row(uow: UnitOfWork, command: Command, args: BulletinSent) -> dict[str, Any]:
    plain = args.model_dump(mode="json")
    names: Sequence[str] = ("roll_call_id", "number", "version", "content", "line", "seal", "drill")
    row = {name: plain[name] for name in names}
    row |= {"id": args.bulletin_id, "origin": command.origin, "published_at": args.published_at}
    return row | {"received_at": uow.now, "feedback": ""}
