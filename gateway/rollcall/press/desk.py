"""Reads what belongs to a roll call between its end and its archive."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from gateway.ports.store import Reader
from gateway.rollcall import phrases
from gateway.rollcall.press.lines import Beside, sheet_of
from gateway.rollcall.press.machine import Standing
from gateway.rollcall.press.needs import PressNeeds
from gateway.rollcall.press.tables import BULLETINS, OBJECTIONS, RECEIPTS, REVIEWS
from gateway.rollcall.records import Revision, RollCall
from gateway.rollcall.rules.sheet import Sheet
from gateway.rollcall.tables import REVISIONS
from protocols.errors import NotFoundError


async def review_of(reader: Reader, roll_call_id: str) -> Row[Any] | None:
    """Return who confirmed the verdicts, None while nobody has."""
    found = await reader.execute(select(REVIEWS).where(REVIEWS.c.roll_call_id == roll_call_id))
    return found.one_or_none()


async def objections_of(reader: Reader, roll_call_id: str) -> Sequence[Row[Any]]:
    """Return the objections in order."""
    mine = select(OBJECTIONS).where(OBJECTIONS.c.roll_call_id == roll_call_id).order_by(OBJECTIONS.c.id)
    return (await reader.execute(mine)).all()


async def bulletins_of(reader: Reader, roll_call_id: str) -> Sequence[Row[Any]]:
    """Return the published versions, the newest last."""
    mine = select(BULLETINS).where(BULLETINS.c.roll_call_id == roll_call_id).order_by(BULLETINS.c.version)
    return (await reader.execute(mine)).all()


async def receipts_of(reader: Reader, bulletin_id: str) -> Sequence[Row[Any]]:
    """Return how each unit stands to a bulletin."""
    mine = select(RECEIPTS).where(RECEIPTS.c.bulletin_id == bulletin_id).order_by(RECEIPTS.c.centre)
    return (await reader.execute(mine)).all()


async def standing_of(reader: Reader, call: RollCall) -> Standing:
    """Return where a call stands, for the rules."""
    review = await review_of(reader, call.record.id)
    raised = await objections_of(reader, call.record.id)
    return Standing(
        state=call.record.state,
        caller=call.record.started_by,
        open_points=call.open,
        reviewed_at=review.reviewed_at if review is not None else None,
        objections_until=review.objections_until if review is not None else None,
        open_objections=sum(row.state == "open" for row in raised),
        waived=review is not None and review.waived_by is not None,
    )


class Desk:
    """Sheets and standings for people."""

    def __init__(self, needs: PressNeeds) -> None:
        self._needs = needs

    async def sheet(self, roll_call_id: str) -> Sheet:
        """Return the result sheet as it stands now; raises NotFoundError."""
        call = await self._needs.calls.get(roll_call_id)
        async with self._needs.store.reading() as reader:
            return await self.sheet_in(reader, call)

    async def sheet_in(self, reader: Reader, call: RollCall, remedy_by: datetime | None = None) -> Sheet:
        """Do the same inside a unit of work."""
        title = phrases.SHEET_TITLE.format(centre=self._needs.area.own().name)
        return sheet_of(call, await self._beside(reader, call, remedy_by), title)

    async def _beside(self, reader: Reader, call: RollCall, remedy_by: datetime | None) -> Beside:
        review = await review_of(reader, call.record.id)
        said: dict[str, str] = {}
        for row in await objections_of(reader, call.record.id):
            word = phrases.OBJECTIONS[row.state]
            said[row.centre] = f"{row.reason}（{word}{'：' + row.answer if row.answer else ''}）"
        rows = select(REVISIONS).where(REVISIONS.c.roll_call_id == call.record.id).order_by(REVISIONS.c.id)
        revisions: dict[str, list[Revision]] = defaultdict(list)
        for row in (await reader.execute(rows)).all():
            changed = Revision(row.centre, row.number, row.at, row.by, row.reason, row.before, row.after)
            revisions[row.centre].append(changed)
        published = await bulletins_of(reader, call.record.id)
        signed: dict[str, tuple[datetime, str, str]] = {}
        if published:
            last = published[-1]
            remedy = last.content["remedy_by"]
            remedy_by = remedy_by or (datetime.fromisoformat(remedy) if remedy else None)
            for row in await receipts_of(reader, last.id):
                if row.signed_at is not None:
                    signed[row.centre] = (row.signed_at, row.signed_by, row.feedback)
        return Beside(
            reviewer=review.reviewed_by if review is not None else "",
            objections=said,
            revisions={centre: tuple(found) for centre, found in revisions.items()},
            stills={point.centre: (point.still,) for point in call.points if point.still},
            remedy_by=remedy_by,
            signed=signed,
        )

    async def standing(self, roll_call_id: str) -> dict[str, Any]:
        """Return review, objections, bulletins with receipts, for the page; raises NotFoundError."""
        call = await self._needs.calls.get(roll_call_id)
        async with self._needs.store.reading() as reader:
            review = await review_of(reader, roll_call_id)
            raised = await objections_of(reader, roll_call_id)
            published = await bulletins_of(reader, roll_call_id)
            receipts = await receipts_of(reader, published[-1].id) if published else ()
        return {
            "roll_call_id": roll_call_id,
            "state": call.record.state,
            "caller": call.record.started_by,
            "open_points": call.open,
            "review": None if review is None else _plain(review, without=("roll_call_id",)),
            "objections": [_plain(row, without=("roll_call_id",)) for row in raised],
            "bulletins": [_plain(row, without=("roll_call_id", "lines", "content")) for row in published],
            "receipts": [_plain(row, without=("bulletin_id",)) for row in receipts],
        }

    async def bulletin(self, bulletin_id: str) -> dict[str, Any]:
        """Return one published bulletin whole; raises NotFoundError."""
        async with self._needs.store.reading() as reader:
            row = (await reader.execute(select(BULLETINS).where(BULLETINS.c.id == bulletin_id))).one_or_none()
            if row is None:
                raise NotFoundError(f"no bulletin {bulletin_id}")
            receipts = await receipts_of(reader, bulletin_id)
        return _plain(row) | {"receipts": [_plain(one, without=("bulletin_id",)) for one in receipts]}

    async def unsigned(self, before: timedelta) -> int:
        """Return how many receipts of the newest bulletins wait for longer than `before`."""
        since = self._needs.clock.now() - before
        waiting = select(RECEIPTS.c.centre).join(BULLETINS, BULLETINS.c.id == RECEIPTS.c.bulletin_id)
        waiting = waiting.where(RECEIPTS.c.signed_at.is_(None), BULLETINS.c.published_at < since)
        async with self._needs.store.reading() as reader:
            return len((await reader.execute(waiting)).all())


def _plain(row: Row[Any], without: Sequence[str] = ()) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in without}  # noqa: SLF001 - its public view
