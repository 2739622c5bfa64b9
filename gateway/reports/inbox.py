"""The two ends of a report's way: what came from below, and what the tiers above say to what was sent.

Each answer is owed in the unit of work that makes it true, so it travels exactly once for each event here; taking one
twice changes nothing.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update

from gateway.ports.store import UnitOfWork
from gateway.reports import clockwork, machine
from gateway.reports.desk import find, note
from gateway.reports.machine import Step
from gateway.reports.needs import Arrival
from gateway.reports.service import Reports
from gateway.reports.tables import deliveries, reports, versions
from protocols.aio.clock import new_ulid
from protocols.command import Command, CommandName, parse_args
from protocols.envelope import Event
from protocols.errors import BadSchemaError, LinkError, NotFoundError, WrongMomentError
from protocols.report import (
    Answer,
    ReportAnswer,
    ReportKind,
    ReportState,
    SentData,
    sent_data,
)

logger = logging.getLogger(__name__)
ANSWER_WITHIN_S = 30 * 86400.0
"""A county may be cut off for long: until then an answer waits for it."""


class Inbox:
    """Handles `report.sent`, carries out `report.answer`, and says what an officer says to a received version."""

    def __init__(self, room: Reports) -> None:
        self._room = room
        self._needs = room.needs

    # from below

    def check(self, event: Event) -> None:
        """Raise BadSchemaError where the payload does not fit, or claims another origin."""
        if sent_data(event).origin != event.source:
            raise BadSchemaError(f"origin: a report of {event.source} cannot come from {event.data.get('origin')}")

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Store the versions that are for this centre and owe their senders the word that they are stored."""
        for arrival in arrivals:
            data = sent_data(arrival.event)
            if data.origin != self._needs.area.code and self._needs.area.code in data.to:
                await self._take(uow, data, drill=arrival.event.drill)

    async def _take(self, uow: UnitOfWork, data: SentData, *, drill: bool) -> None:
        report = (await uow.execute(select(reports).where(reports.c.id == data.report_id))).one_or_none()
        if report is not None and report.origin != data.origin:
            raise BadSchemaError(f"report {data.report_id} belongs to {report.origin}")
        if report is None:
            await uow.execute(insert(reports), [self._row(uow, data, drill=drill)])
        else:
            # A drill mark can be added, never taken away.
            await uow.execute(
                update(reports)
                .where(reports.c.id == report.id)
                .values(state=_reopened(report, data).value, drill=report.drill or drill)
            )
        await uow.execute(insert(versions), [self._version(uow, data)])
        own = self._needs.area.code
        sent = {"id": new_ulid(self._needs.clock), "report_id": data.report_id, "version": data.version, "to": own}
        stored = {"way": "link", "sent_at": data.signed_at, "delivered_at": uow.now, "reason": ""}
        await uow.execute(insert(deliveries), [sent | stored])
        await self._room.start_clocks(uow, data.report_id, data.version, data.grades, data.content, uow.now)
        await note(uow, data.report_id, "received", data.origin, data.kind.value)
        await self._answer(uow, data.origin, data.report_id, data.version, Answer.STORED)

    def _row(self, uow: UnitOfWork, data: SentData, *, drill: bool) -> dict[str, Any]:
        return {
            "id": data.report_id,
            "serial": data.serial,
            "origin": data.origin,
            "own": False,
            "state": ReportState.SENT.value,
            "drill": drill,
            "known_at": uow.now,
            "watch_until": self._room.profile.watch_until(data.known_at, data.content.category),
            "opened_by": data.signed_by,
            "opened_at": uow.now,
            "profile": self._room.profile.id,
        }

    @staticmethod
    def _version(uow: UnitOfWork, data: SentData) -> dict[str, Any]:
        plain = data.model_dump(mode="json")
        names = ("report_id", "version", "kind", "number", "corrects", "content", "changed", "reasons", "signed_by")
        return {name: plain[name] for name in names} | {
            "confirmed": data.grades.confirmed,
            "possible": data.grades.possible,
            "known_at": data.known_at,
            "author": data.signed_by,
            "created_at": uow.now,
            "signed_at": data.signed_at,
            "sent_at": data.signed_at,
        }

    # an officer's word, going down

    async def acknowledge(self, report_id: str, *, by: str) -> dict[str, Any]:
        """Sign for the newest received version (签收); raises WrongMomentError where that was answered."""
        return await self._decide(report_id, Answer.ACKNOWLEDGED, by, "")

    async def send_back(self, report_id: str, reason: str, *, by: str) -> dict[str, Any]:
        """Return the newest received version (退回) with a reason."""
        return await self._decide(report_id, Answer.RETURNED, by, reason)

    async def _decide(self, report_id: str, answer: Answer, by: str, reason: str) -> dict[str, Any]:
        async with self._needs.store.unit() as uow:
            report = await find(uow, report_id)
            if report.own:
                raise WrongMomentError("this report is this centre's own; the tier above signs for it")
            mine = (deliveries.c.report_id == report_id) & (deliveries.c.to == self._needs.area.code)
            newest = select(deliveries).where(mine).order_by(deliveries.c.version.desc()).limit(1)
            delivery = (await uow.execute(newest)).one()
            if delivery.acknowledged_at is not None or delivery.returned_at is not None:
                raise WrongMomentError("this version was answered already")
            await self._set(uow, report, delivery, self._made(report_id, delivery.version, answer, by, reason, uow))
            await self._answer(uow, report.origin, report_id, delivery.version, answer, by, reason)
        return await self._room.desk.get(report_id)

    async def _answer(
        self, uow: UnitOfWork, origin: str, report_id: str, version: int, answer: Answer, by: str = "", reason: str = ""
    ) -> None:
        args = self._made(report_id, version, answer, by, reason, uow)
        try:
            await self._needs.links.owe_command(uow, origin, CommandName.REPORT_ANSWER, args, within_s=ANSWER_WITHIN_S)
        except LinkError:
            if answer is not Answer.STORED:
                raise
            # The report itself must not be refused; the officer's own answer implies that it was stored.
            logger.warning("no way back for a report's receipt", extra={"origin": origin, "report": report_id})
            await note(uow, report_id, "no_way_back", "", origin)

    def _made(
        self, report_id: str, version: int, answer: Answer, by: str, reason: str, uow: UnitOfWork
    ) -> ReportAnswer:
        return ReportAnswer(
            report_id=report_id,
            version=version,
            answer=answer,
            centre=self._needs.area.code,
            by=by,
            at=uow.now,
            reason=reason,
        )

    # from above

    async def on_answer(self, command: Command) -> dict[str, Any]:
        """Take what a tier above says to a version that was sent to it; raises NotFoundError for any other."""
        args = parse_args(ReportAnswer, command.args)
        async with self._needs.store.unit() as uow:
            report = await find(uow, args.report_id)
            mine = (deliveries.c.report_id == args.report_id) & (deliveries.c.version == args.version)
            sent = select(deliveries).where(mine, deliveries.c.to == args.centre, deliveries.c.way == "link")
            delivery = (await uow.execute(sent)).one_or_none()
            if delivery is None or command.origin != args.centre:
                raise NotFoundError(f"version {args.version} of report {args.report_id} was not sent to {args.centre}")
            await self._delivered(uow, report, delivery, args)
            if args.answer is not Answer.STORED:
                await self._set(uow, report, delivery, args)
        return {}

    async def _delivered(self, uow: UnitOfWork, report: Row[Any], delivery: Row[Any], args: ReportAnswer) -> None:
        """Take the receipt, which stops clocks. An officer's word implies it, whichever of the two comes first."""
        if delivery.delivered_at is not None:
            return
        await uow.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(delivered_at=args.at))
        which = (versions.c.report_id == report.id) & (versions.c.version == args.version)
        kind = ReportKind((await uow.execute(select(versions.c.kind).where(which))).scalar_one())
        addressee = self._needs.area.table[args.centre].tier
        clocked = report.based_on or report.id
        version = args.version if report.based_on is None else 2**31 - 1
        stopped = await clockwork.stop_written(
            uow, clocked, version, kind, args.at, own=self._room.tier, addressee=addressee
        )
        await clockwork.start_next_day(uow, self._room.profile, stopped, args.at)
        await note(uow, report.id, "delivered", args.centre, str(args.version))

    async def _set(self, uow: UnitOfWork, report: Row[Any], delivery: Row[Any], args: ReportAnswer) -> None:
        if delivery.acknowledged_at is not None or delivery.returned_at is not None:
            return
        word = "acknowledged" if args.answer is Answer.ACKNOWLEDGED else "returned"
        values = {f"{word}_at": args.at, f"{word}_by": args.by, "reason": args.reason}
        await uow.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(**values))
        which = (versions.c.report_id == report.id) & (versions.c.version == args.version)
        kind = ReportKind((await uow.execute(select(versions.c.kind).where(which))).scalar_one())
        step = Step.ACKNOWLEDGED if args.answer is Answer.ACKNOWLEDGED else Step.RETURNED
        state = machine.heard(ReportState(report.state), step, kind)
        await uow.execute(update(reports).where(reports.c.id == report.id).values(state=state.value))
        await note(uow, report.id, word, f"{args.centre} {args.by}"[:64], args.reason)


def _reopened(report: Row[Any], data: SentData) -> ReportState:
    """Return the state of a received report with one version more: it waits for an answer again."""
    if data.kind is ReportKind.INITIAL:
        return ReportState.SENT
    return ReportState.VERIFIED if report.state == ReportState.VERIFIED.value else ReportState.FOLLOWING
