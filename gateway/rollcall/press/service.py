"""Reviewing and publishing at the centre that called the roll.

Every step is one unit of work with what it owes the units, so a kill between two steps loses and doubles nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, insert, select, update

from gateway.events import RollCallChanged
from gateway.ports.store import UnitOfWork
from gateway.rollcall import phrases
from gateway.rollcall.press import machine
from gateway.rollcall.press.desk import Desk, bulletins_of, objections_of, receipts_of, standing_of
from gateway.rollcall.press.needs import Arrivals, PressNeeds
from gateway.rollcall.press.tables import BULLETINS, OBJECTIONS, RECEIPTS, REVIEWS
from gateway.rollcall.records import RollCall
from gateway.rollcall.rules.bulletin import Bulletin, line_hash, plain, praise, problems, seal, tally
from gateway.rollcall.rules.sheet import CHINA, Line, Sheet, cells, result
from gateway.rollcall.tables import ROLL_CALLS
from protocols.aio.clock import new_ulid
from protocols.bulletin import OBJECTED, Answered, BulletinSent, Objected, UnitResult, answered, objected
from protocols.command import CommandName
from protocols.envelope import Event
from protocols.errors import BadInputError, LinkError, NotAllowedError, NotFoundError, WrongMomentError
from protocols.ids import centre_of
from protocols.rollcall import RollCallKind, SessionState

logger = logging.getLogger(__name__)
WAITS_S = 30 * 86400.0
"""A unit may be cut off for long: until then its result or bulletin waits for it."""


class Press:
    """See the package. Handles `rollcall.objected` and `rollcall.bulletin.answered` from below."""

    def __init__(self, needs: PressNeeds) -> None:
        self.needs = needs
        self.desk = Desk(needs)

    # the second person

    async def review(self, roll_call_id: str, *, by: str, hours: float | None = None, note: str = "") -> None:
        """Confirm the verdicts as the second person, and tell every unit how it stands and until when it may object."""
        call = await self.needs.calls.get(roll_call_id)
        async with self.needs.store.unit() as uow:
            machine.check_review(await standing_of(uow, call), by)
            ends = machine.until(uow.now, hours if hours is not None else machine.hours_of(call.record.rules))
            row = {"roll_call_id": roll_call_id, "reviewed_by": by, "reviewed_at": uow.now, "note": note}
            await uow.execute(insert(REVIEWS), [row | {"objections_until": ends}])
            sheet = await self.desk.sheet_in(uow, call)
            for line in sheet.lines:
                args = UnitResult(
                    roll_call_id=roll_call_id,
                    centre=line.centre,
                    kind=call.record.kind.value,
                    called_at=call.record.started_at,
                    reviewed_by=by,
                    objections_until=ends,
                    result=result(line),
                    line=dict(zip(phrases.COLUMNS, cells(line), strict=True)),
                    drill=call.record.drill,
                )
                await self._owe(uow, line.centre, CommandName.ROLLCALL_RESULT, args)
            uow.tell(RollCallChanged(roll_call_id))
        logger.info("roll call confirmed", extra={"roll_call": roll_call_id, "by": by})

    async def close_window(self, roll_call_id: str, reason: str, *, by: str) -> None:
        """End the objections window early, with a reason that stays visible."""
        if not reason.strip():
            raise BadInputError("closing the objections window early needs a reason")
        call = await self.needs.calls.get(roll_call_id)
        async with self.needs.store.unit() as uow:
            standing = await standing_of(uow, call)
            if standing.reviewed_at is None:
                raise WrongMomentError("no objections window is open; confirm the verdicts first")
            mine = REVIEWS.c.roll_call_id == roll_call_id
            await uow.execute(update(REVIEWS).where(mine).values(waived_by=by, waived_why=reason.strip()))
            uow.tell(RollCallChanged(roll_call_id))

    # objections

    async def note_objection(self, roll_call_id: str, centre: str, who: str, reason: str, *, by: str) -> str:
        """Note an objection that came by telephone; returns its id."""
        call = await self.needs.calls.get(roll_call_id)
        _point(call, centre)
        async with self.needs.store.unit() as uow:
            machine.check_objection(await standing_of(uow, call), uow.now)
            id_ = new_ulid(self.needs.clock)
            row = {"id": id_, "roll_call_id": roll_call_id, "centre": centre, "by": who, "noted_by": by}
            more = {"at": uow.now, "reason": reason.strip(), "late": False, "state": "open"}
            await uow.execute(insert(OBJECTIONS), [row | more])
            uow.tell(RollCallChanged(roll_call_id))
        return id_

    async def decide(self, roll_call_id: str, objection_id: str, *, upheld: bool, answer: str, by: str) -> None:
        """Decide an objection. One that is upheld goes with a changed verdict, which is a revision of its own."""
        if not answer.strip():
            raise BadInputError("a decision says why")
        call = await self.needs.calls.get(roll_call_id)
        async with self.needs.store.unit() as uow:
            row = next((one for one in await objections_of(uow, roll_call_id) if one.id == objection_id), None)
            if row is None:
                raise NotFoundError(f"no objection {objection_id} to roll call {roll_call_id}")
            machine.check_decision(await standing_of(uow, call), row.state, row.noted_by, by)
            state = "upheld" if upheld else "rejected"
            values = {"state": state, "decided_by": by, "decided_at": uow.now, "answer": answer.strip()}
            await uow.execute(update(OBJECTIONS).where(OBJECTIONS.c.id == objection_id).values(**values))
            uow.tell(RollCallChanged(roll_call_id))

    # publishing

    async def publish(self, roll_call_id: str, *, by: str, demands: str = "", remedy_by: datetime | None = None) -> str:
        """Put the bulletin out: numbered, sealed, sent to each unit. Returns its id."""
        call = await self.needs.calls.get(roll_call_id)
        async with self.needs.store.unit() as uow:
            machine.check_publish(await standing_of(uow, call), by, uow.now)
            id_ = await self._put_out(uow, call, by=by, demands=demands, remedy_by=remedy_by)
            await self._move(uow, roll_call_id, SessionState.PUBLISHED)
        self.needs.metrics.count("bulletins_published_total")
        logger.info("bulletin published", extra={"roll_call": roll_call_id, "bulletin": id_, "by": by})
        return id_

    async def correct(
        self, roll_call_id: str, reason: str, *, by: str, demands: str = "", remedy_by: datetime | None = None
    ) -> str:
        """Put out a new version under the same number; the earlier one stays as it is. Returns the new id."""
        call = await self.needs.calls.get(roll_call_id)
        async with self.needs.store.unit() as uow:
            machine.check_correction(await standing_of(uow, call), by, reason)
            id_ = await self._put_out(uow, call, by=by, demands=demands, remedy_by=remedy_by, corrects=reason.strip())
            await self._move(uow, roll_call_id, SessionState.PUBLISHED)
        return id_

    async def archive(self, roll_call_id: str, reason: str, *, by: str) -> None:
        """Put a published call away; units that have not signed need a reason."""
        call = await self.needs.calls.get(roll_call_id)
        async with self.needs.store.unit() as uow:
            published = await bulletins_of(uow, roll_call_id)
            receipts = await receipts_of(uow, published[-1].id) if published else ()
            waiting = [row.centre for row in receipts if row.signed_at is None]
            machine.check_archive(call.record.state, waiting, reason)
            mine = REVIEWS.c.roll_call_id == roll_call_id
            await uow.execute(update(REVIEWS).where(mine).values(archived_by=by, archived_why=reason.strip()))
            await self._move(uow, roll_call_id, SessionState.ARCHIVED)

    async def _move(self, uow: UnitOfWork, roll_call_id: str, state: SessionState) -> None:
        await uow.execute(update(ROLL_CALLS).where(ROLL_CALLS.c.id == roll_call_id).values(state=state.value))
        uow.tell(RollCallChanged(roll_call_id))

    async def draft(self, roll_call_id: str, *, by: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """Return what would be published now, and the units' lines; nothing is stored."""
        call = await self.needs.calls.get(roll_call_id)
        async with self.needs.store.reading() as reader:
            sheet = await self.desk.sheet_in(reader, call)
            standing = await self.desk.standing(roll_call_id)
        reviewer = (standing["review"] or {}).get("reviewed_by", "")
        bulletin = self._bulletin(call, sheet, number="", issue=0, version=1, at=self.needs.clock.now(), by=by)
        return plain(bulletin) | {"reviewer": reviewer}, _lines(sheet)

    async def _put_out(
        self,
        uow: UnitOfWork,
        call: RollCall,
        *,
        by: str,
        demands: str,
        remedy_by: datetime | None,
        corrects: str = "",
    ) -> str:
        if remedy_by is not None and remedy_by <= uow.now:
            raise BadInputError("the time for putting things right lies in the past")
        before = await bulletins_of(uow, call.record.id)
        year = before[0].year if before else uow.now.astimezone(CHINA).year
        issue = before[0].issue if before else await self._next_issue(uow, year)
        version = before[-1].version + 1 if before else 1
        number = phrases.NUMBER.format(prefix=self.needs.prefix, year=year, issue=issue)
        sheet = await self.desk.sheet_in(uow, call, remedy_by)
        bulletin = self._bulletin(
            call, sheet, number=number, issue=issue, version=version, at=uow.now, by=by,
            demands=demands.strip(), remedy_by=remedy_by, corrects=corrects,
        )  # fmt: skip
        content, lines = plain(bulletin), _lines(sheet)
        row = {"id": new_ulid(self.needs.clock), "roll_call_id": call.record.id, "year": year, "issue": issue}
        row |= {"version": version, "number": number, "published_at": uow.now, "published_by": by}
        row |= {"content": content, "lines": lines, "seal": seal(content), "drill": call.record.drill}
        await uow.execute(insert(BULLETINS), [row])
        await self._send(uow, row, lines)
        return str(row["id"])

    @staticmethod
    async def _next_issue(uow: UnitOfWork, year: int) -> int:
        newest = select(func.max(BULLETINS.c.issue)).where(BULLETINS.c.year == year)
        return ((await uow.execute(newest)).scalar_one() or 0) + 1

    def _bulletin(  # noqa: PLR0913 - a bulletin's head
        self,
        call: RollCall,
        sheet: Sheet,
        *,
        number: str,
        issue: int,
        version: int,
        at: datetime,
        by: str,
        demands: str = "",
        remedy_by: datetime | None = None,
        corrects: str = "",
    ) -> Bulletin:
        reviewer = next((line.reviewer for line in sheet.lines if line.reviewer), "")
        return Bulletin(
            number=number,
            issue=issue,
            version=version,
            centre=self.needs.area.own().code,
            roll_call_id=call.record.id,
            kind=call.record.kind.value,
            called_at=call.record.started_at,
            caller=call.record.started_by,
            reviewer=reviewer,
            published_at=at,
            publisher=by,
            drill=call.record.drill,
            tally=tally(sheet.lines),
            problems=problems(sheet.lines),
            praise=praise(sheet.lines),
            demands=demands,
            remedy_by=remedy_by,
            corrects=corrects,
            attachments=(sheet.title,),
            lines={line.centre: line_hash(line) for line in sheet.lines},
        )

    async def _send(self, uow: UnitOfWork, row: Mapping[str, Any], lines: Mapping[str, Sequence[str]]) -> None:
        receipts = []
        for centre, line in lines.items():
            args = BulletinSent(
                bulletin_id=row["id"],
                roll_call_id=row["roll_call_id"],
                centre=centre,
                number=row["number"],
                version=row["version"],
                published_at=row["published_at"],
                content=row["content"],
                seal=row["seal"],
                line=tuple(line),
                drill=row["drill"],
            )
            there = await self._owe(uow, centre, CommandName.ROLLCALL_BULLETIN, args)
            receipt = {"bulletin_id": row["id"], "centre": centre, "way": "link" if there else "phone"}
            receipts.append(receipt | {"sent_at": uow.now if there else None, "feedback": ""})
        if receipts:
            await uow.execute(insert(RECEIPTS), receipts)

    async def _owe(self, uow: UnitOfWork, centre: str, name: str, args: BaseModel) -> bool:
        """Owe a command to a unit's gateway; False where none stands there and people are told by telephone."""
        if centre == self.needs.area.own().code:
            return False
        try:
            await self.needs.links.owe_command(uow, centre, name, args, within_s=WAITS_S)
        except LinkError:
            self.needs.metrics.count("bulletin_units_by_phone_total")
            logger.warning("no gateway at the unit: tell it by telephone", extra={"centre": centre, "what": name})
            return False
        return True

    async def sign_for(self, bulletin_id: str, centre: str, who: str, feedback: str, *, by: str) -> None:
        """Note that a unit signed by telephone; raises NotFoundError, WrongMomentError where it has signed."""
        async with self.needs.store.unit() as uow:
            row = next((one for one in await receipts_of(uow, bulletin_id) if one.centre == centre), None)
            if row is None:
                raise NotFoundError(f"bulletin {bulletin_id} was not sent to {centre}")
            if row.signed_at is not None:
                raise WrongMomentError(f"{row.signed_by} signed for {centre} already")
            values = {"signed_by": f"{who}（{phrases.NOTED_BY.format(by=by)}）", "signed_at": uow.now, "way": "phone"}
            await self._receipt(uow, bulletin_id, centre, values | {"feedback": feedback.strip()})

    async def _receipt(self, uow: UnitOfWork, bulletin_id: str, centre: str, values: Mapping[str, Any]) -> None:
        mine = (RECEIPTS.c.bulletin_id == bulletin_id) & (RECEIPTS.c.centre == centre)
        await uow.execute(update(RECEIPTS).where(mine).values(**values))
        which = select(BULLETINS.c.roll_call_id).where(BULLETINS.c.id == bulletin_id)
        uow.tell(RollCallChanged((await uow.execute(which)).scalar_one()))

    # months

    async def scored(self, first: datetime, end: datetime) -> list[Line]:
        """Return the lines of all roll calls that count and began between the two moments."""
        counted = [state.value for state in (*machine.CONFIRMED, *machine.OUT)]
        which = select(ROLL_CALLS.c.id).where(
            ROLL_CALLS.c.started_at >= first,
            ROLL_CALLS.c.started_at < end,
            ROLL_CALLS.c.state.in_(counted),
            ROLL_CALLS.c.kind != RollCallKind.TEST.value,
            ROLL_CALLS.c.drill.is_(False),
        )
        async with self.needs.store.reading() as reader:
            ids = [row.id for row in (await reader.execute(which.order_by(ROLL_CALLS.c.started_at))).all()]
        return [line for one in ids for line in (await self.desk.sheet(one)).lines]

    # from the units

    def check(self, event: Event) -> None:
        """Refuse what does not parse or speaks for another unit; raises BadSchemaError, NotAllowedError."""
        centre = objected(event).centre if event.type == OBJECTED else answered(event).centre
        if centre != centre_of(event.source):
            raise NotAllowedError(f"{event.source} may not speak for {centre}")

    async def apply(self, uow: UnitOfWork, arrivals: Arrivals) -> None:
        """Take objections and receipts; those to other centres' roll calls pass by."""
        for arrival in arrivals:
            if arrival.event.type == OBJECTED:
                await self._take_objection(uow, objected(arrival.event))
            else:
                await self._take_answer(uow, answered(arrival.event))

    async def _take_objection(self, uow: UnitOfWork, said: Objected) -> None:
        known = select(ROLL_CALLS.c.id, ROLL_CALLS.c.state).where(ROLL_CALLS.c.id == said.roll_call_id)
        call = (await uow.execute(known)).one_or_none()
        twice = select(OBJECTIONS.c.id).where(OBJECTIONS.c.id == said.objection_id)
        if call is None or (await uow.execute(twice)).one_or_none() is not None:
            return
        ends = select(REVIEWS.c.objections_until).where(REVIEWS.c.roll_call_id == said.roll_call_id)
        until = (await uow.execute(ends)).scalar_one_or_none()
        # What was written in time counts, however long the line was cut; after publication only a correction helps.
        late = until is None or said.at > until
        out = SessionState(call.state) in machine.OUT
        row: dict[str, Any] = {"id": said.objection_id, "roll_call_id": said.roll_call_id, "centre": said.centre}
        row |= {"by": said.by, "noted_by": "", "at": said.at, "reason": said.reason, "late": late or out}
        await uow.execute(insert(OBJECTIONS), [row | {"state": "late" if late or out else "open"}])
        uow.tell(RollCallChanged(said.roll_call_id))

    async def _take_answer(self, uow: UnitOfWork, said: Answered) -> None:
        row = next((one for one in await receipts_of(uow, said.bulletin_id) if one.centre == said.centre), None)
        if row is None:
            return
        values: dict[str, Any] = {} if row.stored_at is not None else {"stored_at": said.at, "way": "link"}
        if said.answer == "signed" and row.signed_at is None:
            values |= {"signed_by": said.by, "signed_at": said.at, "feedback": said.feedback}
        if values:
            await self._receipt(uow, said.bulletin_id, said.centre, values)


def _lines(sheet: Sheet) -> dict[str, list[str]]:
    return {line.centre: list(cells(line)) for line in sheet.lines}


def _point(call: RollCall, centre: str) -> None:
    if centre not in {point.centre for point in call.points}:
        raise NotFoundError(f"{centre} was not in roll call {call.record.id}")
