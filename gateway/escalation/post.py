"""The messages as rows: written with what caused them, withdrawn with what ends them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import bindparam, delete, func, select, update

from gateway.escalation import timers
from gateway.escalation.bundles import bundle_of, release_at
from gateway.escalation.chains import Contact
from gateway.escalation.tables import lines, noticed, notices
from gateway.events import AlarmStanding, EscalationChanged
from gateway.ports.notify import Channel, Receipt
from gateway.ports.store import Reader, UnitOfWork
from protocols.aio.clock import Clock, new_ulid
from protocols.alarm import Severity

NOTICE = "notice"
"""Kind of a message's timer."""
BUNDLED = ("step", "cleared")
"""Purposes of which mild messages are bundled; who is assigned an alarm is told of it alone."""
AT_ONCE = 400
T = TypeVar("T")

# What runs for every alarm is built once: building a statement costs several times what the database takes for it.
_SAME = (notices.c.bundle.in_(bindparam("bundles", expanding=True)), notices.c.purpose.in_(BUNDLED))
_UNTRIED = select(notices.c.bundle, notices.c.purpose, notices.c.id).where(
    *_SAME, notices.c.state == Receipt.WAITING.value, notices.c.attempts == 0
)
_LAST_SENT = (
    select(notices.c.bundle, notices.c.purpose, func.max(notices.c.sent_at).label("at"))
    .where(*_SAME)
    .group_by(notices.c.bundle, notices.c.purpose)
)
_THEIRS = noticed.c.alarm_id.in_(bindparam("alarms", expanding=True))
_WAITING = select(notices.c.id).where(
    notices.c.id.in_(select(noticed.c.notice_id).where(_THEIRS)), notices.c.state == Receipt.WAITING.value
)
_TOLD = (
    select(
        noticed.c.alarm_id,
        *(notices.c.person, notices.c.role, notices.c.channel, notices.c.address, notices.c.created_at),
    )
    .select_from(noticed.join(notices, noticed.c.notice_id == notices.c.id))
    .where(notices.c.state.in_((Receipt.SENT.value, Receipt.ACCEPTED.value, Receipt.DELIVERED.value)), _THEIRS)
    .order_by(notices.c.id)
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an alarm's course."""

    alarm_id: str
    what: str
    by: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """One message that is to be written: whom it tells of which alarm, by what, and why."""

    alarm: AlarmStanding
    contact: Contact
    channel: Channel
    purpose: str = "step"
    step: int = 0
    round: int = 0
    by: str = ""

    @property
    def bundle(self) -> str:
        """The group within which mild messages are bundled."""
        alarm = self.alarm
        return bundle_of(self.channel, self.contact.name, alarm.centre, alarm.event_type, alarm.severity)

    @property
    def bundled(self) -> bool:
        """Whether the message may join one that waits."""
        return self.alarm.severity > Severity.RED and self.purpose in BUNDLED


class Post:
    """Writes messages and the lines of a chain's course, inside the caller's unit of work.

    Everything is taken in batches: a storm changes hundreds of alarms in one unit of work.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def line(self, uow: UnitOfWork, alarm_id: str, what: str, *, by: str = "", detail: str = "") -> None:
        """Write one line of the course."""
        await self.lines(uow, [Line(alarm_id, what, by, detail)])

    async def lines(self, uow: UnitOfWork, told: Sequence[Line]) -> None:
        """Write lines of the course, in order."""
        if not told:
            return
        rows = [{"alarm_id": one.alarm_id, "at": uow.now, "what": one.what, "by": one.by} for one in told]
        rows = [row | {"detail": one.detail} for row, one in zip(rows, told, strict=True)]
        await uow.add(lines, rows)
        for alarm_id in dict.fromkeys(one.alarm_id for one in told):
            uow.tell(EscalationChanged(alarm_id))

    async def write(self, uow: UnitOfWork, wishes: Sequence[Wish]) -> None:
        """Write messages; a mild one joins the one that waits for the same person, place and kind."""
        sheet = await self._sheet(uow, wishes)
        for wish in wishes:
            self._take(sheet, wish, uow.now)
        if sheet.notices:
            await uow.add(notices, sheet.notices)
        await self._join(uow, sheet)
        await timers.arm_all(uow, NOTICE, sheet.timers)
        for alarm_id in dict.fromkeys(wish.alarm.id for wish in wishes):
            uow.tell(EscalationChanged(alarm_id))

    async def _join(self, uow: UnitOfWork, sheet: "Sheet") -> None:
        rows = [{"notice_id": notice_id, "alarm_id": alarm_id} for notice_id, alarm_id in sorted(sheet.noticed)]
        await uow.put(noticed, rows)  # a chain that goes round may name an alarm to the same message again

    def _take(self, sheet: "Sheet", wish: Wish, now: datetime) -> None:
        alarm, bundle = wish.alarm, (wish.bundle, wish.purpose)
        if wish.bundled and (waiting := sheet.waiting.get(bundle)) is not None:
            sheet.noticed.add((waiting, alarm.id))
            return
        address, id_ = wish.contact.address(wish.channel), new_ulid(self._clock)
        sheet.notices.append(
            {
                "id": id_,
                "bundle": wish.bundle,
                "purpose": wish.purpose,
                "channel": wish.channel.value,
                "person": wish.contact.name,
                "role": wish.contact.role,
                "address": address,
                "severity": alarm.severity,
                "step": wish.step,
                "round": wish.round,
                "state": Receipt.FAILED.value if address is None else Receipt.WAITING.value,
                "reason": "no_address" if address is None else "",
                "reference": "",
                "said_by": wish.by,
                "text": "",
                "attempts": 0,
                "created_at": now,
                "sent_at": None,
                "settled_at": now if address is None else None,
            }
        )
        sheet.noticed.add((id_, alarm.id))
        if address is not None:
            last = sheet.last_sent.get(bundle) if wish.bundled else None
            sheet.timers[id_] = release_at(alarm.severity, last, now)
            if wish.bundled:
                sheet.waiting[bundle] = id_

    async def _sheet(self, uow: UnitOfWork, wishes: Sequence[Wish]) -> "Sheet":
        """Look up what waits and what was sent last of the bundles concerned."""
        sheet, bundles = Sheet(), sorted({wish.bundle for wish in wishes if wish.bundled})
        for some in batched(bundles, AT_ONCE):
            for row in await uow.execute(_UNTRIED, {"bundles": some}):
                sheet.waiting.setdefault((row.bundle, row.purpose), row.id)
            for row in await uow.execute(_LAST_SENT, {"bundles": some}):
                sheet.last_sent[row.bundle, row.purpose] = row.at
        return sheet

    async def withdraw(self, uow: UnitOfWork, alarm_ids: Sequence[str]) -> None:
        """Take alarms out of all messages that wait; a message that speaks of nothing more is cancelled."""
        for some in batched(alarm_ids, AT_ONCE):
            await self._withdraw(uow, some)

    async def _withdraw(self, uow: UnitOfWork, alarm_ids: Sequence[str]) -> None:
        ids = [row.id for row in await uow.execute(_WAITING, {"alarms": alarm_ids})]
        if not ids:
            return
        others = (noticed.c.notice_id.in_(ids), noticed.c.alarm_id.not_in(alarm_ids))
        kept = {row.notice_id for row in await uow.execute(select(noticed.c.notice_id).where(*others))}
        if kept:
            # A message that is cancelled keeps its alarms: the course still shows what was withdrawn.
            shared = (noticed.c.alarm_id.in_(alarm_ids), noticed.c.notice_id.in_(sorted(kept)))
            await uow.execute(delete(noticed).where(*shared))
        gone = [id_ for id_ in ids if id_ not in kept]
        settled = {"state": Receipt.CANCELLED.value, "settled_at": uow.now}
        if gone:
            await uow.execute(update(notices).where(notices.c.id.in_(gone)).values(**settled))
        await timers.disarm(uow, NOTICE, gone)

    async def told(self, reader: Reader, since: Mapping[str, datetime]) -> dict[str, list[Any]]:
        """Return person, role, channel and address of everybody who got a message of an alarm since a time."""
        found: dict[str, dict[tuple[str, str], Any]] = {alarm_id: {} for alarm_id in since}
        for some in batched(list(since), AT_ONCE):
            for row in await reader.execute(_TOLD, {"alarms": some}):
                if row.created_at >= since[row.alarm_id]:
                    found[row.alarm_id].setdefault((row.person, row.channel), row)
        return {alarm_id: list(rows.values()) for alarm_id, rows in found.items()}


@dataclass(slots=True)
class Sheet:
    """What a batch of messages writes. `waiting` and `last_sent` are by bundle and purpose."""

    notices: list[dict[str, Any]] = field(default_factory=list)
    timers: dict[str, datetime] = field(default_factory=dict)
    waiting: dict[tuple[str, str], str] = field(default_factory=dict)
    last_sent: dict[tuple[str, str], datetime | None] = field(default_factory=dict)
    noticed: set[tuple[str, str]] = field(default_factory=set)


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a long list: a statement takes only so many parameters."""
    return (items[at : at + size] for at in range(0, len(items), size))
