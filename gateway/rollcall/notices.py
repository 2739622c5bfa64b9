"""Tells people of counties that were missing: letters to those on duty, one alarm where many share a cause.

What was told is a row of the post, so a call is told once, also after a restart in the middle.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import select

from gateway.ports.notify import Channel, Letter, LetterStanding
from gateway.ports.store import Reader, Store, UnitOfWork
from gateway.rollcall import phrases
from gateway.rollcall.records import PointRecord, RollCall, RollCallRecord
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.telling import (
    ANSWER,
    AT_COUNTY,
    HERE,
    REPEATED,
    REPEATED_WITHIN,
    Recipient,
    recipients,
    sort,
    times_missing,
)
from gateway.rollcall.rules.telling import heads as bureau_heads
from gateway.rollcall.tables import POINTS, ROLL_CALLS
from protocols.aio.clock import Clock
from protocols.alarm import RAISED, AlarmData, Severity
from protocols.duty import DutyCurrent, DutyRole, on_duty
from protocols.rollcall import MISSING, Cause, RollCallKind, SessionState

logger = logging.getLogger(__name__)
HEAD_ROLE: Final = "head"
TOLD_UNTIL: Final = timedelta(hours=1)
"""A call that ended longer ago is not told any more after a restart."""


class Post(Protocol):
    """The way to people: the escalation's letters."""

    async def write(self, uow: UnitOfWork, wanted: Sequence[Letter]) -> None:
        """Write letters, due at once."""
        ...

    async def of(self, reader: Reader, topic: str) -> list[LetterStanding]:
        """Return the letters of a topic."""
        ...


class Incidents(Protocol):
    """The alarms room."""

    async def report_within(self, uow: UnitOfWork, type_: str, data: AlarmData) -> str:
        """Raise an alarm of this gateway inside a unit of work."""
        ...

    async def end_own(self, alarm_key: str) -> bool:
        """Clear an alarm of this gateway where it stands."""
        ...


class Duty(Protocol):
    """The duty room."""

    def record(self, centre: str) -> DutyCurrent | None:
        """Return what a centre's roster says, None where it sent none."""
        ...


class Notices:
    """Call `tell` when a call has ended; again is fine."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        own: str,
        post: Post,
        alarms: Incidents,
        duty: Callable[[], Duty],
        heads: Sequence[str] = (),
    ) -> None:
        """`heads` names the heads of the counties' bureaus: `320623=张三 13900000000`."""
        self._store = store
        self._clock = clock
        self._own = own
        self._post = post
        self._alarms = alarms
        self._duty = duty
        self._heads = bureau_heads(heads)

    async def tell(self, call: RollCall) -> None:
        """Tell of everybody who was missing, and end incidents that this call did not find again."""
        record = call.record
        if record.kind is RollCallKind.TEST or record.state is SessionState.CANCELLED or record.ended_at is None:
            return
        if self._clock.now() - record.ended_at > TOLD_UNTIL:
            return
        missing = [point for point in call.points if point.state in MISSING and point.delegate is None]
        least = Profile.model_validate(record.rules).incident_counties
        told = sort([(point.centre, point.cause) for point in missing], least)
        by_code = {point.centre: point for point in missing}
        async with self._store.unit() as uow:
            known = {letter.ref for letter in await self._post.of(uow, _topic(record.id))}
            letters = [
                letter
                for centre in told.single
                if centre not in known
                for letter in self._letters(call, by_code[centre])
            ]
            letters += await self._to_heads(uow, call, [by_code[one] for one in told.single], known)
            await self._post.write(uow, letters)
            for cause, centres in told.incidents.items():
                if cause.value not in known:
                    await self._incident(uow, call, cause, [by_code[centre] for centre in centres])
                    await self._post.write(uow, self._of_incident(call, cause, len(centres)))
        for cause in Cause:
            if cause not in told.incidents and len(call.points) >= least:
                await self._alarms.end_own(_key(cause))
        if missing:
            extra = {"roll_call": record.id, "letters": len(letters), "incidents": len(told.incidents)}
            logger.info("missing counties told", extra=extra)

    async def unanswered(self, call: RollCallRecord, point: PointRecord) -> None:
        """Ask a county by telephone message to come: its first ring brought no answer (domain.md 3.4)."""
        if call.kind is RollCallKind.TEST:
            return
        now, ref = self._clock.now(), f"{point.centre}/ring"
        profile = Profile.model_validate(call.rules)
        until = (point.rung_at or now) + timedelta(seconds=profile.presence_s)
        text = phrases.UNANSWERED_TEXT.format(
            mark=phrases.DRILL if call.drill else "",
            name=point.name,
            centre=point.centre,
            at=until.astimezone().strftime("%H:%M:%S"),
        )
        people = self._people(point.centre, ANSWER, now) or (None,)
        letters = [_letter(call.id, ref, person, text, phrases.UNANSWERED_SUBJECT) for person in people]
        async with self._store.unit() as uow:
            if ref not in {letter.ref for letter in await self._post.of(uow, _topic(call.id))}:
                await self._post.write(uow, letters)

    async def _to_heads(
        self, uow: UnitOfWork, call: RollCall, points: Sequence[PointRecord], known: Collection[str]
    ) -> list[Letter]:
        now, found = self._clock.now(), []
        for point in points:
            ref = f"{point.centre}/head"
            times = times_missing(await self._missed(uow, point.centre, now), now)
            if times < REPEATED or ref in known:
                continue
            reason = phrases.REASONS[point.reason] if point.reason is not None else phrases.UNKNOWN_REASON
            text = phrases.REPEATED_TEXT.format(
                mark=phrases.DRILL if call.record.drill else "",
                name=point.name,
                centre=point.centre,
                days=REPEATED_WITHIN.days,
                times=times,
                reason=reason,
            )
            name, phone = self._heads.get(point.centre, (phrases.HEAD, None))
            letter = _letter(call.record.id, ref, None, text, phrases.MISSING_SUBJECT)
            found.append(replace(letter, person=name, role=HEAD_ROLE, address=phone))
        return found

    async def _missed(self, uow: UnitOfWork, centre: str, now: datetime) -> list[tuple[datetime, Cause | None]]:
        """Return when a county was missing lately; tests and rehearsals do not count."""
        counted = (ROLL_CALLS.c.kind != RollCallKind.TEST.value) & ROLL_CALLS.c.drill.is_(False)
        wanted = (
            select(POINTS.c.settled_at, POINTS.c.cause)
            .join(ROLL_CALLS, ROLL_CALLS.c.id == POINTS.c.roll_call_id)
            .where(POINTS.c.centre == centre, POINTS.c.state.in_([one.value for one in MISSING]), counted)
            .where(POINTS.c.settled_at > now - REPEATED_WITHIN)
        )
        rows = (await uow.execute(wanted)).all()
        return [(row.settled_at, None if row.cause is None else Cause(row.cause)) for row in rows]

    def _letters(self, call: RollCall, point: PointRecord) -> list[Letter]:
        at = point.settled_at or self._clock.now()
        text = phrases.MISSING_TEXT.format(
            mark=phrases.DRILL if call.record.drill else "",
            name=point.name,
            centre=point.centre,
            kind=phrases.KINDS[call.record.kind.value],
            result=phrases.STATES[point.state],
            reason=phrases.REASONS[point.reason] if point.reason is not None else phrases.UNKNOWN_REASON,
            at=at.astimezone().strftime("%H:%M"),
        )
        people = [*self._people(point.centre, AT_COUNTY, at), *self._people(self._own, HERE, at)]
        return [_letter(call.record.id, point.centre, person, text) for person in people] or [
            _letter(call.record.id, point.centre, None, text)
        ]

    def _of_incident(self, call: RollCall, cause: Cause, number: int) -> list[Letter]:
        text = phrases.INCIDENT_TEXT.format(
            mark=phrases.DRILL if call.record.drill else "", number=number, cause=phrases.CAUSES[cause]
        )
        people = self._people(self._own, HERE, self._clock.now())
        return [_letter(call.record.id, cause.value, person, text) for person in people] or [
            _letter(call.record.id, cause.value, None, text)
        ]

    def _people(self, centre: str, roles: Sequence[DutyRole], at: datetime) -> tuple[Recipient, ...]:
        record = self._duty().record(centre)
        return () if record is None else recipients(on_duty(record, at), roles)

    async def _incident(self, uow: UnitOfWork, call: RollCall, cause: Cause, points: Sequence[PointRecord]) -> None:
        names = "、".join(point.name for point in points)
        data = AlarmData(
            alarm_key=_key(cause),
            centre=self._own,
            sensor="rollcall",
            event_type="rollcall.fault",
            severity=Severity.ORANGE,
            headline=phrases.INCIDENT.format(number=len(points), cause=phrases.CAUSES[cause]),
            detail=phrases.INCIDENT_DETAIL.format(names=names, roll_call=call.record.id)[:4000],
            observed_at=self._clock.now(),
            label=phrases.DRILL if call.record.drill else None,
        )
        await self._alarms.report_within(uow, RAISED, data)


def _topic(roll_call_id: str) -> str:
    return f"rollcall/{roll_call_id}"


def _key(cause: Cause) -> str:
    return f"rollcall/{cause}"


def _letter(
    roll_call: str, ref: str, person: Recipient | None, text: str, subject: str = phrases.MISSING_SUBJECT
) -> Letter:
    return Letter(
        topic=_topic(roll_call),
        ref=ref,
        channel=Channel.SMS,
        person=person.name if person is not None else phrases.DUTY_ROOM,
        role=person.role.value if person is not None else DutyRole.OFFICER.value,
        address=person.phone if person is not None else None,
        severity=3,
        subject=subject,
        text=text,
        data={"roll_call": roll_call, "ref": ref},
    )
