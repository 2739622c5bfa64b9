"""The messages as rows: written with what caused them, withdrawn with what ends them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from gateway.escalation import timers
from gateway.escalation.bundles import bundle_of, release_at
from gateway.escalation.chains import Contact
from gateway.escalation.tables import lines, noticed, notices
from gateway.events import AlarmStanding, EscalationChanged
from gateway.ports.notify import Channel, Receipt
from gateway.ports.store import Reader, UnitOfWork
from protocols.aio.clock import Clock, new_ulid

NOTICE = "notice"
"""Kind of a message's timer."""


class Post:
    """Writes messages and the lines of a chain's course, inside the caller's unit of work."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def line(self, uow: UnitOfWork, alarm_id: str, what: str, *, by: str = "", detail: str = "") -> None:
        """Write one line of the course."""
        row = {"alarm_id": alarm_id, "at": uow.now, "what": what, "by": by, "detail": detail}
        await uow.execute(insert(lines), [row])
        uow.tell(EscalationChanged(alarm_id))

    async def write(
        self,
        uow: UnitOfWork,
        alarm: AlarmStanding,
        contact: Contact,
        channel: Channel,
        *,
        purpose: str = "step",
        step: int = 0,
        round_: int = 0,
        by: str = "",
    ) -> None:
        """Write one message, or join the mild one that waits for the same person, place and kind."""
        bundle = bundle_of(channel, contact.name, alarm.centre, alarm.event_type, alarm.severity)
        if purpose == "step" and alarm.severity > 1:
            waiting = await self._waiting(uow, bundle)
            if waiting is not None:
                same = (noticed.c.notice_id == waiting, noticed.c.alarm_id == alarm.id)
                await uow.execute(delete(noticed).where(*same))
                await uow.execute(insert(noticed), [{"notice_id": waiting, "alarm_id": alarm.id}])
                return
        address, id_ = contact.address(channel), new_ulid(self._clock)
        row = {
            "id": id_,
            "bundle": bundle,
            "purpose": purpose,
            "channel": channel.value,
            "person": contact.name,
            "role": contact.role,
            "address": address,
            "severity": alarm.severity,
            "step": step,
            "round": round_,
            "state": Receipt.FAILED.value if address is None else Receipt.WAITING.value,
            "reason": "no_address" if address is None else "",
            "reference": "",
            "said_by": by,
            "text": "",
            "attempts": 0,
            "created_at": uow.now,
            "sent_at": None,
            "settled_at": uow.now if address is None else None,
        }
        await uow.execute(insert(notices), [row])
        await uow.execute(insert(noticed), [{"notice_id": id_, "alarm_id": alarm.id}])
        if address is not None:
            last = await self._last_sent(uow, bundle) if purpose == "step" else None
            await timers.arm(uow, NOTICE, id_, release_at(alarm.severity, last, uow.now))
        uow.tell(EscalationChanged(alarm.id))

    async def withdraw(self, uow: UnitOfWork, alarm_id: str) -> None:
        """Take an alarm out of all messages that wait; a message that speaks of nothing more is cancelled."""
        mine = select(noticed.c.notice_id).where(noticed.c.alarm_id == alarm_id)
        waiting = select(notices.c.id).where(notices.c.id.in_(mine), notices.c.state == Receipt.WAITING.value)
        ids = [row.id for row in await uow.execute(waiting)]
        if not ids:
            return
        others = select(noticed.c.notice_id).where(noticed.c.notice_id.in_(ids), noticed.c.alarm_id != alarm_id)
        kept = {row.notice_id for row in await uow.execute(others)}
        # A message that is cancelled keeps its alarm: the course still shows what was withdrawn.
        shared = (noticed.c.alarm_id == alarm_id, noticed.c.notice_id.in_(sorted(kept)))
        await uow.execute(delete(noticed).where(*shared))
        gone = [id_ for id_ in ids if id_ not in kept]
        settled = {"state": Receipt.CANCELLED.value, "settled_at": uow.now}
        if gone:
            await uow.execute(update(notices).where(notices.c.id.in_(gone)).values(**settled))
        await timers.disarm(uow, NOTICE, gone)

    async def told(self, reader: Reader, alarm_id: str, since: datetime) -> Sequence[Any]:
        """Return person, role, channel and address of everybody who got a message since then."""
        mine = select(noticed.c.notice_id).where(noticed.c.alarm_id == alarm_id)
        left = (Receipt.SENT.value, Receipt.ACCEPTED.value, Receipt.DELIVERED.value)
        wanted = select(notices.c.person, notices.c.role, notices.c.channel, notices.c.address)
        where = (notices.c.id.in_(mine), notices.c.state.in_(left), notices.c.created_at >= since)
        return (await reader.execute(wanted.where(*where).distinct())).all()

    async def _waiting(self, uow: UnitOfWork, bundle: str) -> str | None:
        same = (notices.c.bundle == bundle, notices.c.state == Receipt.WAITING.value, notices.c.attempts == 0)
        found = await uow.execute(select(notices.c.id).where(*same, notices.c.purpose == "step").limit(1))
        return found.scalar_one_or_none()

    async def _last_sent(self, uow: UnitOfWork, bundle: str) -> datetime | None:
        newest = select(func.max(notices.c.sent_at)).where(notices.c.bundle == bundle)
        # max() of a typed column keeps the type, so this is a time again.
        found: datetime | None = (await uow.execute(newest)).scalar_one_or_none()
        return found
