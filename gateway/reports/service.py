"""Reports written here: drafted, signed, sent, corrected; and the clocks that run beside them."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from gateway.events import ReportChanged
from gateway.ports.store import UnitOfWork
from gateway.reports import clockwork, machine
from gateway.reports.deadlines import CHINA, Profile
from gateway.reports.desk import Desk, find, note, versions_of
from gateway.reports.machine import Step
from gateway.reports.needs import ReportNeeds
from gateway.reports.rows import content_of, grades_in
from gateway.reports.tables import clocks, deliveries, reports, versions
from protocols.aio.clock import new_ulid
from protocols.envelope import Lane
from protocols.errors import BadInputError, NeedsError, TooLargeError, WrongMomentError
from protocols.report import (
    SENT,
    Category,
    Content,
    Grades,
    ReportKind,
    ReportState,
    SentData,
    changes,
    grades_of,
)
from protocols.tiers import Tier

logger = logging.getLogger(__name__)
CONTENT_BYTES = 40 * 1024
LOOK_S = 1.0


class Reports:
    """The reports of this centre. `run` gives the reminders; run it as a supervised task."""

    def __init__(self, needs: ReportNeeds, profile: Profile, *, has_upper: bool) -> None:
        self.needs = needs
        self.profile = profile
        self.desk = Desk(needs)
        self._has_upper = has_upper
        self._states: dict[str, int] = {}
        self._overdue = 0
        needs.metrics.live("reports", lambda: [((state,), float(n)) for state, n in self._states.items()])
        needs.metrics.live("report_clocks_overdue", lambda: [((), float(self._overdue))])

    @property
    def tier(self) -> Tier:
        """This centre's tier."""
        return self.needs.area.table[self.needs.area.code].tier

    # writing

    async def open(
        self,
        content: Content,
        *,
        by: str,
        known_at: datetime | None = None,
        drill: bool = False,
        alarm_id: str | None = None,
    ) -> dict[str, Any]:
        """Open a report with the draft of its first version; its clocks run from `known_at`."""
        async with self.needs.store.unit() as uow:
            if known_at is not None and known_at > uow.now:
                raise BadInputError("known_at lies ahead of the gateway's clock; give the time when it became known")
            id_ = await self._open(uow, content, by, known_at or uow.now, drill=drill, alarm_id=alarm_id)
        return await self.desk.get(id_)

    async def open_from_alarm(self, alarm_id: str, *, by: str) -> dict[str, Any]:
        """Open a report filled in from an alarm (生成首报); a drill's alarm makes a drill's report."""
        alarm = await self.needs.alarms.get(alarm_id)
        content, known_at = from_alarm(alarm, self.needs.area.table[alarm["centre"]].name)
        return await self.open(content, by=by, known_at=known_at, drill=alarm["drill"], alarm_id=alarm_id)

    async def pass_on(self, report_id: str, *, by: str) -> dict[str, Any]:
        """Open an own report with what a report from below says (转报); the clocks of that one are shared."""
        async with self.needs.store.unit() as uow:
            report = await find(uow, report_id)
            if report.own:
                raise WrongMomentError("this report is this centre's own: send it")
            content = content_of((await versions_of(uow, report_id))[-1])
            id_ = await self._open(uow, content, by, report.known_at, drill=report.drill, based_on=report_id)
        return await self.desk.get(id_)

    async def _open(
        self,
        uow: UnitOfWork,
        content: Content,
        by: str,
        known_at: datetime,
        *,
        drill: bool,
        alarm_id: str | None = None,
        based_on: str | None = None,
    ) -> str:
        id_ = new_ulid(self.needs.clock)
        count = (await uow.execute(select(func.count()).select_from(reports).where(reports.c.own))).scalar_one()
        day = uow.now.astimezone(CHINA).strftime("%Y%m%d")
        row = {
            "id": id_,
            "serial": f"{self.needs.area.code}-{day}-{count + 1:04d}",
            "origin": self.needs.area.code,
            "own": True,
            "state": machine.moved(ReportState.RECEIVED, Step.DRAFT, ReportKind.INITIAL).value,
            "drill": drill,
            "alarm_id": alarm_id,
            "based_on": based_on,
            "known_at": known_at,
            "watch_until": self.profile.watch_until(known_at, content.category),
            "opened_by": by,
            "opened_at": uow.now,
            "profile": self.profile.id,
        }
        await uow.execute(insert(reports), [row])
        await self._draft(uow, id_, 1, ReportKind.INITIAL, content, by=by, known_at=known_at)
        await note(uow, id_, "opened", by, alarm_id or based_on or "")
        return id_

    async def edit(self, report_id: str, content: Content, reasons: dict[str, str], *, by: str) -> dict[str, Any]:
        """Write the open draft anew; raises WrongMomentError where there is none."""
        async with self.needs.store.unit() as uow:
            report, found = await self._own(uow, report_id)
            draft = self._open_draft(found)
            before = content_of(found[-2]) if len(found) > 1 else None
            grades = grades_of(content)
            values = {
                "content": content.model_dump(mode="json"),
                "changed": list(changes(before, content)) if before else [],
                "reasons": reasons,
                "confirmed": grades.confirmed,
                "possible": grades.possible,
                "author": by,
            }
            mine = (versions.c.report_id == report_id) & (versions.c.version == draft.version)
            await uow.execute(update(versions).where(mine).values(**values))
            await self._start_clocks(uow, report, draft.version, content, draft.known_at)
            uow.tell(ReportChanged(report_id))
        return await self.desk.get(report_id)

    async def next_version(self, report_id: str, kind: ReportKind, *, by: str) -> dict[str, Any]:
        """Open the draft of the next version (续报, 核报, 终报), filled in with what the last one said."""
        async with self.needs.store.unit() as uow:
            report, found = await self._own(uow, report_id)
            last = self._no_draft(found)
            machine.check_next(kind, ReportKind(last.kind))
            await self._move(uow, report, Step.DRAFT, kind)
            number = sum(row.kind == kind.value and row.corrects is None for row in found) + 1
            await self._draft(
                uow, report_id, last.version + 1, kind, content_of(last), by=by, known_at=uow.now, number=number
            )
            await note(uow, report_id, "drafted", by, kind.value)
        return await self.desk.get(report_id)

    async def correct(self, report_id: str, *, by: str) -> dict[str, Any]:
        """Open a draft that replaces the last signed version; that one stays as it is."""
        async with self.needs.store.unit() as uow:
            report, found = await self._own(uow, report_id)
            last = self._no_draft(found)
            kind = ReportKind(last.kind)
            await self._move(uow, report, Step.CORRECT, kind)
            more = {"number": last.number, "corrects": last.version}
            await self._draft(uow, report_id, last.version + 1, kind, content_of(last), by=by, known_at=uow.now, **more)
            await note(uow, report_id, "corrected", by, str(last.version))
        return await self.desk.get(report_id)

    async def sign(self, report_id: str, *, signer: str, by: str) -> dict[str, Any]:
        """Sign the draft in the name of `signer` (签发人): from now on it never changes."""
        async with self.needs.store.unit() as uow:
            report, found = await self._own(uow, report_id)
            draft = self._open_draft(found)
            content = content_of(draft)
            machine.check_signable(content, content_of(found[-2]) if len(found) > 1 else None, draft.reasons)
            if len(content.model_dump_json().encode()) > CONTENT_BYTES:
                raise TooLargeError(f"the report is longer than {CONTENT_BYTES} bytes; shorten its texts")
            await self._move(uow, report, Step.SIGN, ReportKind(draft.kind))
            mine = (versions.c.report_id == report_id) & (versions.c.version == draft.version)
            await uow.execute(update(versions).where(mine).values(signed_by=signer, signed_at=uow.now))
            await note(uow, report_id, "signed", by, signer)
        return await self.desk.get(report_id)

    async def send(self, report_id: str, to: Sequence[str], *, by: str) -> dict[str, Any]:
        """Send the signed version to the tier above, or to those named, in one unit of work with its record."""
        addressees = self._addressees(to)
        async with self.needs.store.unit() as uow:
            report, found = await self._own(uow, report_id)
            last = found[-1]
            if last.signed_at is None or last.sent_at is not None:
                raise WrongMomentError("only a version that is signed and not yet sent can be sent; sign it first")
            await self._move(uow, report, Step.SEND, ReportKind(last.kind))
            mine = (versions.c.report_id == report_id) & (versions.c.version == last.version)
            await uow.execute(update(versions).where(mine).values(sent_at=uow.now))
            await uow.execute(insert(deliveries), [self._delivery(uow, report_id, last.version, c) for c in addressees])
            data = self._sent(report, last, addressees).model_dump(mode="json")
            await self.needs.links.emit(
                uow, uow.mint(SENT, data, subject=report.serial, drill=report.drill), Lane.URGENT
            )
            await note(uow, report_id, "sent", by, ",".join(addressees))
        return await self.desk.get(report_id)

    async def phoned(self, report_id: str, to: str, receiver: str, at: datetime | None, *, by: str) -> dict[str, Any]:
        """Note that `receiver` at `to` (a centre above, or `government`) was told by telephone."""
        addressee = None if to == "government" else self.needs.area.table[self._above(to)].tier
        async with self.needs.store.unit() as uow:
            report, _ = await self._own(uow, report_id)
            when = at or uow.now
            if when > uow.now or when < report.known_at:
                raise BadInputError("the call must lie between the time it became known and now")
            row = self._delivery(uow, report_id, 0, to) | {"way": "phone", "delivered_at": when, "receiver": receiver}
            await uow.execute(insert(deliveries), [row | {"sent_at": when}])
            clocked = report.based_on or report.id
            await clockwork.stop_phone(uow, clocked, to, when, own=self.tier, addressee=addressee)
            await note(uow, report_id, "phoned", by, f"{to} {receiver}")
        return await self.desk.get(report_id)

    # reminders

    async def run(self) -> None:
        """Remind for ever, once a second."""
        while True:
            await self.tick()
            await self.needs.clock.sleep(LOOK_S)

    async def tick(self) -> None:
        """Give what is due and refresh the figures."""
        now = self.needs.clock.now()
        waiting = select(clocks.c.id).where(clocks.c.stopped_at.is_(None), clocks.c.next_at <= now).limit(1)
        late = select(func.count()).select_from(clocks).where(clocks.c.stopped_at.is_(None), clocks.c.due < now)
        counts = select(reports.c.state, func.count().label("n")).group_by(reports.c.state)
        async with self.needs.store.reading() as reader:
            due = (await reader.execute(waiting)).one_or_none()
            self._overdue = (await reader.execute(late)).scalar_one()
            self._states = {row.state: row.n for row in (await reader.execute(counts)).all()}
        if due is None:
            return
        async with self.needs.store.unit() as uow:
            for report_id, clock, percent in await clockwork.remind(uow):
                await note(uow, report_id, "reminded" if percent < 100 else "late", "", f"{percent}% {clock.rule}")
                uow.tell(ReportChanged(report_id, percent))
                logger.warning("report clock", extra={"report": report_id, "rule": clock.rule, "percent": percent})

    # parts

    async def _own(self, uow: UnitOfWork, report_id: str) -> tuple[Row[Any], list[Row[Any]]]:
        report = await find(uow, report_id)
        if not report.own:
            raise WrongMomentError("this report came from below: sign for it, return it, or pass it on")
        return report, await versions_of(uow, report_id)

    @staticmethod
    def _open_draft(found: Sequence[Row[Any]]) -> Row[Any]:
        if found[-1].signed_at is not None:
            raise WrongMomentError("the last version is signed and stays as it is; write the next one or correct it")
        return found[-1]

    @staticmethod
    def _no_draft(found: Sequence[Row[Any]]) -> Row[Any]:
        if found[-1].signed_at is None:
            raise WrongMomentError("a draft is open already; sign and send it first")
        return found[-1]

    async def _draft(  # noqa: PLR0913 - a version's columns
        self,
        uow: UnitOfWork,
        report_id: str,
        version: int,
        kind: ReportKind,
        content: Content,
        *,
        by: str,
        known_at: datetime,
        number: int = 0,
        corrects: int | None = None,
    ) -> None:
        grades = grades_of(content)
        row = {
            "report_id": report_id,
            "version": version,
            "kind": kind.value,
            "number": number if kind is ReportKind.FOLLOWUP else 0,
            "corrects": corrects,
            "content": content.model_dump(mode="json"),
            "changed": [],
            "reasons": {},
            "confirmed": grades.confirmed,
            "possible": grades.possible,
            "known_at": known_at,
            "author": by,
            "created_at": uow.now,
        }
        await uow.execute(insert(versions), [row])
        await self._start_clocks(uow, await find(uow, report_id), version, content, known_at)

    async def _start_clocks(
        self, uow: UnitOfWork, report: Row[Any], version: int, content: Content, known_at: datetime
    ) -> None:
        if report.based_on is None:
            grades = grades_of(content)
            await self.start_clocks(uow, report.id, version, grades, content, known_at)

    async def start_clocks(
        self, uow: UnitOfWork, report_id: str, version: int, grades: Grades, content: Content, known_at: datetime
    ) -> None:
        """Start the clocks of this centre's tier; those that run stay."""
        started = await clockwork.start(
            uow, report_id, version, self.profile, self.tier, grades, content.flags, known_at
        )
        if started:
            await note(uow, report_id, "clocks", "", str(started))

    @staticmethod
    async def _move(uow: UnitOfWork, report: Row[Any], step: Step, kind: ReportKind) -> None:
        state = machine.moved(ReportState(report.state), step, kind)
        await uow.execute(update(reports).where(reports.c.id == report.id).values(state=state.value))

    def _above(self, code: str) -> str:
        if code not in self.needs.area.table.path(self.needs.area.code)[:-1]:
            raise BadInputError(f"{code} does not stand above this centre; reports go up")
        return code

    def _addressees(self, to: Sequence[str]) -> list[str]:
        path = self.needs.area.table.path(self.needs.area.code)
        if len(path) < 2 or not self._has_upper:
            raise NeedsError("no tier above is linked, so nothing can be sent: set upstream.url")
        wanted = list(dict.fromkeys(self._above(code) for code in to)) or [path[-2]]
        if wanted != [path[-2]] and not self.profile.leapfrog:
            raise BadInputError(f"{self.profile.name} allows no leapfrogging (越级): send to {path[-2]}")
        return wanted

    def _delivery(self, uow: UnitOfWork, report_id: str, version: int, to: str) -> dict[str, Any]:
        id_ = new_ulid(self.needs.clock)
        row = {"id": id_, "report_id": report_id, "version": version, "to": to, "way": "link", "sent_at": uow.now}
        return row | {"reason": ""}

    def _sent(self, report: Row[Any], last: Row[Any], to: Sequence[str]) -> SentData:
        return SentData(
            report_id=report.id,
            serial=report.serial,
            version=last.version,
            kind=ReportKind(last.kind),
            number=last.number,
            corrects=last.corrects,
            origin=self.needs.area.code,
            to=tuple(to),
            leapfrog=list(to) != [self.needs.area.table.path(self.needs.area.code)[-2]],
            known_at=report.known_at,
            content=content_of(last),
            changed=tuple(last.changed),
            reasons=last.reasons,
            grades=grades_in(last),
            signed_by=last.signed_by,
            signed_at=last.signed_at,
        )


def from_alarm(alarm: dict[str, Any], place: str) -> tuple[Content, datetime]:
    """Fill in a first report from an alarm: its time, place, words and source; and when it became known here."""

    def at(name: str) -> datetime:
        return datetime.fromisoformat(str(alarm[name]).replace("Z", "+00:00")).astimezone(UTC)

    value = (
        "" if alarm.get("value") is None else f"（{alarm['value']:g} {alarm.get('unit') or ''}）".replace(" ）", "）")
    )
    content = Content(
        title=alarm["headline"],
        category=Category.OTHER,
        occurred_at=at("first_raised_at"),
        place=place,
        centre=alarm["centre"],
        summary=f"{alarm['headline']}{value} {alarm.get('detail') or ''}".strip(),
        source=f"{alarm['source']} {alarm['sensor']}",
    )
    return content, at("received_at")
