"""Deadlines of orders: timers as rows, words to those on duty, each reminder once, also across a restart.

The issuer reminds the unit and then those above; a gateway that received an order only sounds at its own consoles, so
that nobody is written to twice.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select, update

from gateway.orders import phrases
from gateway.orders.machine import LINE
from gateway.orders.needs import OrderNeeds
from gateway.orders.rows import find, note, plan_of
from gateway.orders.rules.deadlines import Reminder, next_reminder, ring_at
from gateway.orders.tables import order_lines
from gateway.ports.notify import Channel, Letter
from gateway.ports.store import UnitOfWork
from protocols.duty import DutyRole, OnDuty, on_duty
from protocols.order import OrderState

logger = logging.getLogger(__name__)
TIMER: Final = "order-line"
SYSTEM: Final = "system"
RED: Final = 1
"""Words of a reminder leave at once: the post delays only milder ones."""
_HERE: Final = {True: tuple(Reminder), False: (Reminder.AGAIN, Reminder.FEEDBACK)}
"""What an issuer gives, and what a gateway that received the order does at its own consoles."""
_ROLES: Final = {
    Reminder.AGAIN: (DutyRole.OFFICER, DutyRole.CHIEF),
    Reminder.LEADER: (DutyRole.LEADER,),
    Reminder.HIGHER: (DutyRole.LEADER, DutyRole.CHIEF),
    Reminder.FEEDBACK: (DutyRole.OFFICER, DutyRole.CHIEF),
}

SendAgain = Callable[[UnitOfWork, str, Sequence[Row[Any]]], Awaitable[None]]
"""Owes all that was said of an order to the gateways of some of its lines once more."""


class Reminding:
    """Register `ring` for the timers of the kind `TIMER`."""

    def __init__(self, needs: OrderNeeds, send_again: SendAgain) -> None:
        self._needs = needs
        self._send_again = send_again

    async def arm(self, uow: UnitOfWork, order: Row[Any], line: Row[Any]) -> None:
        """Set a line's timer for the next reminder, or take it away where none is left."""
        following = self._next(order, line)
        if following is None or order.revoked_at is not None:
            await self._needs.timers.drop(uow, TIMER, [line.id])
        else:
            await self._needs.timers.set(uow, TIMER, line.id, following[1])

    async def drop(self, uow: UnitOfWork, lines: Sequence[Row[Any]]) -> None:
        """Take the timers of lines away."""
        await self._needs.timers.drop(uow, TIMER, [line.id for line in lines])

    def _next(self, order: Row[Any], line: Row[Any]) -> tuple[Reminder, datetime] | None:
        signed = LINE.index(OrderState(line.state)) >= LINE.index(OrderState.ACKNOWLEDGED)
        reported = line.reported_at is not None or line.done_at is not None
        plan = plan_of(order, self._needs.settings)
        return next_reminder(plan, line.told, signed=signed, reported=reported, here=_HERE[order.own])

    async def ring(self, uow: UnitOfWork, line_id: str) -> None:
        """Give the reminder that is due, and set the timer of the next one."""
        line = (await uow.execute(select(order_lines).where(order_lines.c.id == line_id))).one_or_none()
        if line is None:
            return
        order = await find(uow, line.order_id)
        due = self._next(order, line)
        if due is None or order.revoked_at is not None:
            return
        given = due[0]
        values: dict[str, Any] = {"told": [*line.told, given.value]}
        if given is Reminder.AGAIN:
            values["overdue_at"] = uow.now
        await uow.execute(update(order_lines).where(order_lines.c.id == line_id).values(**values))
        await self._tell(uow, order, line.unit, given)
        if order.own and line.carrier is not None and line.delivered_at is None:
            # What was refused there, or failed on its way, may be taken now; taking it twice changes nothing.
            await self._send_again(uow, order.id, [line])
        after = (await uow.execute(select(order_lines).where(order_lines.c.id == line_id))).one()
        following = self._next(order, after)
        if following is not None:
            plan = plan_of(order, self._needs.settings)
            await self._needs.timers.set(uow, TIMER, line_id, ring_at(plan, given, following[0], uow.now))

    async def _tell(self, uow: UnitOfWork, order: Row[Any], unit: str, reminder: Reminder) -> None:
        ref = f"{unit}/{reminder.value}"
        if order.own:
            centre = order.issuer if reminder is Reminder.HIGHER else unit
            text = self.words(order, unit, phrases.REMINDERS[reminder])
            people = self._people(centre, _ROLES[reminder], uow.now)
            letters = [self._letter(order, ref, Channel.SMS, person, text) for person in people]
            if not people:
                letters.append(self._letter(order, ref, Channel.SMS, None, text))
            if reminder in (Reminder.HIGHER, Reminder.FEEDBACK):
                letters.append(self.sound(order, ref, text))
        else:
            kept = phrases.UNSIGNED_HERE if reminder is Reminder.AGAIN else phrases.REMINDERS[reminder]
            letters = [self.sound(order, ref, self.words(order, unit, kept))]
        await self._needs.letters.write(uow, letters)
        await note(uow, order.id, f"reminded_{reminder.value}", SYSTEM, unit)
        uow.after_commit(lambda: self._needs.metrics.count("order_reminders_total", step=reminder.value))
        logger.warning("order reminded", extra={"order": order.id, "unit": unit, "step": reminder.value})

    def words(self, order: Row[Any], unit: str, phrase: str, text: str = "") -> str:
        """Fill a phrase of the room."""
        table = self._needs.area.table
        said = phrase.format(
            issuer=order.issuer_name,
            urgency=phrases.URGENCY[order.urgency],
            number=order.number,
            title=order.title,
            unit=table[unit].name if unit in table else unit,
            minutes=order.ack_within_s // 60,
            content=order.content[:200],
            text=text,
        )
        return phrases.marked(said, drill=order.drill)

    def _people(self, centre: str, roles: Sequence[DutyRole], at: datetime) -> list[OnDuty]:
        record = self._needs.duty().record(centre)
        if record is None:
            return []
        found: dict[str, OnDuty] = {}
        for shift in on_duty(record, at):
            for person in shift.people:
                if person.role in roles:
                    found.setdefault(person.name, person)
        return sorted(found.values(), key=lambda person: roles.index(person.role))

    def sound(self, order: Row[Any], ref: str, text: str) -> Letter:
        """Return a call to the consoles of this centre."""
        return self._letter(order, ref, Channel.SOUND, None, text)

    def _letter(self, order: Row[Any], ref: str, channel: Channel, person: OnDuty | None, text: str) -> Letter:
        sounds = channel is Channel.SOUND
        phone = person.phones[0] if person is not None and person.phones else None
        return Letter(
            topic=order.id,
            ref=ref,
            channel=channel,
            person=person.name if person is not None else phrases.DUTY_ROOM,
            role=person.role.value if person is not None else "duty_officer",
            address="duty_officer" if sounds else phone,
            severity=RED,
            subject=phrases.marked(phrases.SUBJECT.format(urgency=phrases.URGENCY[order.urgency]), drill=order.drill),
            text=text,
            data={"order": order.id, "drill": order.drill, "headline": order.title},
        )
