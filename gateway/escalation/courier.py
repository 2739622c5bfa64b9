"""Carries messages out: leases the timer, sends, notes the receipt, tries again with growing pauses.

A message whose receipt could not be noted (the process died) is sent again after the lease: a person may be told twice,
never not at all. Channels that know the message's id fold the repeat.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from gateway.escalation import texts, timers
from gateway.escalation.bundles import retry_at, slot_at
from gateway.escalation.letters import LETTER, Letters
from gateway.escalation.needs import EscalationNeeds
from gateway.escalation.post import NOTICE, batched
from gateway.escalation.tables import noticed, notices
from gateway.escalation.tables import timers as timer_rows
from gateway.escalation.timers import Timer
from gateway.events import AlarmStanding, EscalationChanged
from gateway.ports.notify import Channel, Notice, NotSentError, Receipt, Sent
from gateway.ports.store import UnitOfWork, Wanted

logger = logging.getLogger(__name__)
SEND_S = 20.0
LEASE = timedelta(seconds=60)
AT_ONCE = 20
"""Messages that are under way at once."""
SPOKEN_OF = 400
"""Alarms of one message that are looked up together: in a storm one may speak of hundreds."""
LOOKED_AT = 400
"""Due messages that one look sorts: most of a storm only learn when their channel has a place for them."""

GRAVEST = select(notices.c.severity).where(notices.c.id == timer_rows.c.key).scalar_subquery()
"""The gravest leave first: mild ones that wait for a free slot of their channel may be many."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message that is on its way, and the alarms it speaks of; `topic` where another room gave its words."""

    timer: Timer
    notice: Notice
    channel: Channel
    attempts: int
    alarms: tuple[str, ...]
    topic: str | None = None


Timely = Callable[[UnitOfWork], Awaitable[None]]
"""Moves the deadlines by a step of the clock before a unit of work sets new ones."""


class Courier:
    """Call `deliver_due` again and again."""

    def __init__(self, needs: EscalationNeeds, per_minute: int, letters: Letters, timely: Timely) -> None:
        self._needs = needs
        self._letters = letters
        self._timely = timely
        self._per_minute = per_minute
        self._recent: dict[Channel, deque[datetime]] = defaultdict(lambda: deque(maxlen=per_minute))

    async def deliver_due(self) -> int:
        """Send what is due, and return how many were tried."""
        async with self._needs.store.reading() as reader:
            due = await timers.due(reader, NOTICE, self._needs.clock.now(), LOOKED_AT, first=GRAVEST)
        if not due:
            return 0
        parcels = await self._prepare(due)
        async with asyncio.TaskGroup() as group:
            for parcel in parcels:
                group.create_task(self._carry(parcel), name=f"notice[{parcel.notice.id}]")
        return len(parcels)

    async def _prepare(self, due: Sequence[Timer]) -> list[Parcel]:
        """Lease what may leave now, in one unit of work for all: a storm must not queue before the alarms themselves.

        Each channel gives its free places in this order; what gets none is due again when its own place is free.
        """
        parcels: list[Parcel] = []
        moved: dict[str, datetime] = {}
        over: list[str] = []
        async with self._needs.store.unit() as uow:
            await self._timely(uow)
            (found,) = await uow.find(Wanted(notices, [(timer.key,) for timer in due]))
            rows = {row.id: row for row in found}
            places = {channel: list(recent) for channel, recent in self._recent.items()}
            for timer in due:
                row = rows.get(timer.key)
                if row is None or row.state != Receipt.WAITING:
                    over.append(timer.key)
                    continue
                taken = places.setdefault(Channel(row.channel), [])
                slot = slot_at(taken, self._per_minute, row.severity, uow.now)
                taken.append(slot)
                if slot > uow.now:
                    moved[timer.key] = slot
                elif len(parcels) < AT_ONCE and (parcel := await self._leased(uow, timer, row)) is not None:
                    parcels.append(parcel)
            await timers.arm_all(uow, NOTICE, moved)
            await timers.disarm(uow, NOTICE, over)
        for parcel in parcels:
            self._recent[parcel.channel].append(self._needs.clock.now())
        return parcels

    async def _leased(self, uow: UnitOfWork, timer: Timer, row: Any) -> Parcel | None:
        """Return the message, which nobody else sends now; None where somebody does, or nothing is left to say."""
        if not await timers.lease(uow, timer, uow.now + LEASE):
            return None
        parcel = await self._written(uow, timer, row)
        if parcel is None:
            await timers.disarm(uow, NOTICE, [timer.key])
            await self._settle(uow, timer.key, Receipt.CANCELLED)
            return None
        said = {"attempts": parcel.attempts, "text": parcel.notice.text}
        await uow.execute(update(notices).where(notices.c.id == timer.key).values(**said))
        return parcel

    async def _written(self, uow: UnitOfWork, timer: Timer, row: Any) -> Parcel | None:
        """Write the text by what is true now; None where nothing is left to say."""
        if row.purpose == LETTER:
            topic, subject, data = await self._letters.words(uow, row.id)
            data |= {"purpose": row.purpose, "person": row.person, "severity": row.severity}
            notice = Notice(row.id, row.address, subject, row.text, row.severity, data)
            return Parcel(timer, notice, Channel(row.channel), row.attempts + 1, (), topic)
        named = select(noticed.c.alarm_id).where(noticed.c.notice_id == timer.key).order_by(noticed.c.alarm_id)
        ids = [one.alarm_id for one in await uow.execute(named)]
        found = [one for some in batched(ids, SPOKEN_OF) for one in await self._needs.alarms.standings(uow, some)]
        alarms: list[AlarmStanding] = sorted(found, key=lambda one: one.id)
        if not alarms:
            return None
        first, table = alarms[-1], self._needs.area.table
        place = table[first.centre].name if first.centre in table else first.centre
        text = texts.text(row.purpose, first, place, by=row.said_by, more=len(alarms) - 1)
        data = {
            "alarms": [one.id for one in alarms],
            "purpose": row.purpose,
            "person": row.person,
            "severity": first.severity,
            "centre": first.centre,
            "headline": first.headline,
            "drill": first.drill,
        }
        notice = Notice(row.id, row.address, texts.subject(row.purpose, first), text, first.severity, data)
        return Parcel(timer, notice, Channel(row.channel), row.attempts + 1, tuple(one.id for one in alarms))

    async def _carry(self, parcel: Parcel) -> None:
        channel = self._needs.channels.get(parcel.channel)
        sent, why, retry = Sent(Receipt.FAILED), "", True
        try:
            if channel is None:
                raise NotSentError("no_channel", retry=False)
            async with asyncio.timeout(SEND_S):
                sent = await channel.send(parcel.notice)
        except NotSentError as error:
            why, retry = str(error), error.again
        except TimeoutError:
            why = f"no answer within {SEND_S:.0f} s"
        except Exception as error:
            logger.exception("channel failed", extra={"channel": parcel.channel.value})
            why = f"{type(error).__name__}: {error}"
        await self._note(parcel, sent, why, retry=retry)

    async def _note(self, parcel: Parcel, sent: Sent, why: str, *, retry: bool) -> None:
        failed, id_ = sent.receipt is Receipt.FAILED, parcel.notice.id
        async with self._needs.store.unit() as uow:
            await self._timely(uow)
            again = retry_at(parcel.attempts, uow.now) if failed and retry else None
            await timers.disarm(uow, NOTICE, [id_])
            found = await uow.execute(select(notices.c.state).where(notices.c.id == id_))
            cancelled = found.scalar_one_or_none() == Receipt.CANCELLED
            if again is not None and not cancelled:
                await timers.arm(uow, NOTICE, id_, again)
                await uow.execute(update(notices).where(notices.c.id == id_).values(reason=why[:500]))
            elif not (failed and cancelled):
                await self._settle(uow, id_, sent.receipt, why=why, reference=sent.reference)
            for alarm_id in parcel.alarms:
                uow.tell(EscalationChanged(alarm_id))
            if parcel.topic is not None:
                await self._letters.settled(uow, parcel.topic)
        outcome = sent.receipt.value if again is None else "retried"
        self._needs.metrics.count("escalation_notices_total", channel=parcel.channel.value, outcome=outcome)
        if failed:
            logger.warning("message not sent", extra={"channel": parcel.channel.value, "notice": id_, "why": why})

    async def _settle(self, uow: UnitOfWork, id_: str, receipt: Receipt, *, why: str = "", reference: str = "") -> None:
        values: dict[str, Any] = {"state": receipt.value, "settled_at": uow.now, "reason": why[:500]}
        if receipt in {Receipt.SENT, Receipt.ACCEPTED, Receipt.DELIVERED}:
            values |= {"sent_at": uow.now, "reference": reference[:128]}
        await uow.execute(update(notices).where(notices.c.id == id_).values(**values))
