"""What units say of an order, stored once: by their consoles, by their gateways, or noted from a telephone call."""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update

from gateway.orders import machine
from gateway.orders.needs import Arrival, OrderNeeds
from gateway.orders.reminding import Reminding
from gateway.orders.rows import find, line_of, note
from gateway.orders.tables import order_entries, order_lines, order_rows
from gateway.ports.store import UnitOfWork
from protocols.aio.clock import new_ulid
from protocols.envelope import Event, Lane
from protocols.errors import BadInputError, NotAllowedError, WrongMomentError
from protocols.ids import centre_of
from protocols.order import ANSWERED, AnswerWay, Deed, OrderAnswered, OrderState, answered

logger = logging.getLogger(__name__)


class Answering:
    """Handles `order.answered` from below, and what people here say of a unit's line."""

    def __init__(self, needs: OrderNeeds, reminding: Reminding) -> None:
        self._needs = needs
        self._reminding = reminding

    # people here

    async def say(
        self,
        order_id: str,
        unit: str,
        deed: Deed,
        *,
        noted_by: str,
        text: str = "",
        by: str = "",
        way: AnswerWay = AnswerWay.CONSOLE,
    ) -> None:
        """Write down what a unit says, and send it up where the order came from above.

        At the unit itself the caller speaks. For another unit (told by telephone) `by` names who spoke there and `way`
        how. Raises NotFoundError, WrongMomentError, BadInputError, NotAllowedError.
        """
        async with self._needs.store.unit() as uow:
            order = await find(uow, order_id)
            line = await line_of(uow, order_id, unit)
            if order.state not in (OrderState.SENT.value, OrderState.REVOKED.value):
                raise WrongMomentError("the order has not been sent yet")
            revoked = order.revoked_at is not None
            machine.check_deed(OrderState(line.state), deed, revoked=revoked, text=text)
            itself = unit == self._needs.area.own().code
            if not itself and (not by.strip() or way in (AnswerWay.CONSOLE, AnswerWay.SYSTEM)):
                raise BadInputError("say who at the unit spoke (by) and how (way): phone, radio, fax or visit")
            said = OrderAnswered(
                entry_id=new_ulid(self._needs.clock),
                order_id=order_id,
                unit=unit,
                deed=deed,
                by=noted_by if itself and not by.strip() else by.strip(),
                way=AnswerWay.CONSOLE if itself and not by.strip() else way,
                noted_by="" if itself and not by.strip() else noted_by,
                text=text.strip(),
                at=uow.now,
            )
            await self.enter(uow, order, line, said)
            if not order.own:
                await self.emit(uow, order, said)

    async def emit(self, uow: UnitOfWork, order: Row[Any], said: OrderAnswered) -> None:
        """Owe a word to the tiers above."""
        await self.emit_for(uow, order.id, said, drill=order.drill)

    async def emit_for(self, uow: UnitOfWork, order_id: str, said: OrderAnswered, *, drill: bool) -> None:
        """Owe a word on an order that is not kept here."""
        event = uow.mint(ANSWERED, said.model_dump(mode="json"), subject=order_id, drill=drill)
        await self._needs.links.emit(uow, event, Lane.URGENT)

    # from below

    def check(self, event: Event) -> None:
        """Refuse what does not parse, or speaks for a unit outside its sender's area."""
        said = answered(event)
        table, source = self._needs.area.table, centre_of(event.source)
        if said.unit not in table or not table.covers(source, said.unit):
            raise NotAllowedError(f"{event.source} may not speak for {said.unit}")

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Take words on own orders; those on other centres' orders pass by."""
        for arrival in arrivals:
            said = answered(arrival.event)
            mine = (order_rows.c.id == said.order_id, order_rows.c.own.is_(True))
            order = (await uow.execute(select(order_rows).where(*mine))).one_or_none()
            if order is None:
                continue
            which = (order_lines.c.order_id == said.order_id, order_lines.c.unit == said.unit)
            line = (await uow.execute(select(order_lines).where(*which))).one_or_none()
            if line is None or line.carrier != arrival.event.source:
                uow.after_commit(lambda: self._needs.metrics.count("order_answers_foreign_total"))
                extra = {"order": said.order_id, "unit": said.unit, "source": arrival.event.source}
                logger.warning("word on an order from a gateway that does not answer for the unit", extra=extra)
                continue
            await self.enter(uow, order, line, said)

    # both

    async def enter(self, uow: UnitOfWork, order: Row[Any], line: Row[Any], said: OrderAnswered) -> None:
        """Store a word and move the line; a word that is known changes nothing."""
        known = select(order_entries.c.id).where(order_entries.c.id == said.entry_id)
        if (await uow.execute(known)).one_or_none() is not None:
            return
        row = {"id": said.entry_id, "order_id": order.id, "unit": line.unit, "deed": said.deed.value, "by": said.by}
        more = {"way": said.way.value, "noted_by": said.noted_by, "text": said.text, "at": said.at}
        await uow.execute(insert(order_entries), [row | more | {"stored_at": uow.now}])
        values = _values(line, said)
        await uow.execute(update(order_lines).where(order_lines.c.id == line.id).values(**values))
        after = (await uow.execute(select(order_lines).where(order_lines.c.id == line.id))).one()
        await self._reminding.arm(uow, order, after)
        if "acknowledged_at" in values:
            refs = [f"{line.unit}/{step}" for step in line.told]
            await self._needs.letters.withdraw(uow, order.id, refs)
            if order.own:
                took = max(0.0, (said.at - order.sent_at).total_seconds())
                count = self._needs.metrics.observe
                uow.after_commit(lambda: count("order_ack_seconds", took, urgency=order.urgency))
        await note(uow, order.id, f"unit_{said.deed.value}", said.noted_by or said.by, line.unit)


def _values(line: Row[Any], said: OrderAnswered) -> dict[str, Any]:
    """Return the columns that a word changes; the first word of a kind stands."""
    values: dict[str, Any] = {"state": machine.heard(OrderState(line.state), said.deed).value}
    match said.deed:
        case Deed.DELIVERED if line.delivered_at is None:
            values |= {"delivered_at": said.at, "refused_why": ""}
        case Deed.REFUSED:
            values |= {"refused_why": said.text}
        case Deed.ACKNOWLEDGED if line.acknowledged_at is None:
            values |= {"acknowledged_at": said.at, "acknowledged_by": said.by, "acknowledged_way": said.way.value}
        case Deed.FEEDBACK if line.reported_at is None:
            values |= {"reported_at": said.at}
        case Deed.DONE if line.done_at is None:
            values |= {"done_at": said.at}
        case Deed.WITHDRAWN if line.withdrawn_at is None:
            values |= {"withdrawn_at": said.at}
    return values
