"""Orders of this centre: drafted, signed by a second person, sent to units, chased, revoked, closed.

What a step does is one transaction: the state, the lines of the units, the commands owed to the gateways below, and the
timers. So an order is lost by no crash and doubled by no repeat.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta, timezone
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row, func, insert, select

from gateway.orders import machine, phrases, signing
from gateway.orders.answering import Answering
from gateway.orders.machine import Step
from gateway.orders.needs import OrderNeeds
from gateway.orders.reminding import Reminding
from gateway.orders.rows import ack_minutes, find, lines_of, note, set_order, standing_of, state_of
from gateway.orders.rules.standing import shown
from gateway.orders.tables import order_chases, order_lines, order_rows
from gateway.ports.store import Reader, UnitOfWork
from protocols.aio.clock import new_ulid
from protocols.command import CommandName
from protocols.errors import BadInputError, LinkError, OrderIncompleteError, TooLargeError, WrongMomentError
from protocols.ids import CentreCode, is_gateway
from protocols.order import (
    Chase,
    OrderDocument,
    OrderLater,
    OrderSent,
    OrderState,
    OrderType,
    Paper,
    Related,
    Revocation,
    Urgency,
    canonical,
)

logger = logging.getLogger(__name__)
CHINA: Final = timezone(timedelta(hours=8))
LOOK_S = 5.0
COUNTED: Final = timedelta(days=30)
WAITS_S = 30 * 86400.0
"""A unit may be cut off for long: until then an order waits for it."""
DOCUMENT_BYTES = 20 * 1024
"""Of a document inside JSON. An event is at most 48 KiB, and an order travels in one with its newest chases and its
revocation: at their longest these take 18 KiB, so that an order that was signed can always be revoked."""
CHASES = 5


class OrderContent(BaseModel):
    """What a draft says; it may lack title, content and units until it is signed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: OrderType = OrderType.DISPATCH
    urgency: Urgency = Urgency.URGENT
    title: str = Field(default="", max_length=120)
    content: str = Field(default="", max_length=4000)
    related: tuple[Related, ...] = Field(default=(), max_length=10)
    papers: tuple[Paper, ...] = Field(default=(), max_length=10)
    units: tuple[CentreCode, ...] = Field(default=(), max_length=400)
    ack_minutes: int | None = Field(default=None, ge=1, le=1440)
    feedback_minutes: int | None = Field(default=None, ge=1, le=30 * 1440)


class Orders:
    """The orders of this gateway. `run` keeps the figures; run it as a supervised task."""

    def __init__(self, needs: OrderNeeds) -> None:
        self.needs = needs
        self.reminding = Reminding(needs, self._tell_again)
        self.answering = Answering(needs, self.reminding)
        self._states: dict[tuple[str, str], int] = {}
        self._overdue = 0
        needs.metrics.live("orders", lambda: [(key, float(n)) for key, n in self._states.items()])
        needs.metrics.live("order_overdue", lambda: [((), float(self._overdue))])

    # writing

    async def draft(self, content: OrderContent, *, drill: bool, by: str) -> str:
        """Begin a draft; returns its id. The mark of a drill cannot be taken off afterwards."""
        own = self.needs.area.own()
        async with self.needs.store.unit() as uow:
            id_ = new_ulid(self.needs.clock)
            row = {"id": id_, "own": True, "issuer": own.code, "issuer_name": own.name, "drill": drill}
            row |= {"state": OrderState.DRAFT.value, "number": "", "authors": [by], "created_at": uow.now}
            row |= {"document": "", "signature": "", "public_key": "", "flags": [], "revoked_why": ""}
            await uow.execute(insert(order_rows), [row | self._said(content)])
            await note(uow, id_, "drafted", by)
        return id_

    def _said(self, content: OrderContent) -> dict[str, Any]:
        below = {centre.code for centre in self.needs.area.centres()} - {self.needs.area.own().code}
        foreign = sorted(set(content.units) - below)
        if foreign:
            raise BadInputError(f"units: {', '.join(foreign)} do not stand below this centre")
        minutes = content.ack_minutes or ack_minutes(content.urgency, self.needs.settings)
        feedback = content.feedback_minutes
        plain = content.model_dump(mode="json", include={"type", "urgency", "title", "content", "related", "papers"})
        return plain | {
            "units": sorted(set(content.units)),
            "ack_within_s": minutes * 60,
            "feedback_within_s": None if feedback is None else feedback * 60,
        }

    async def edit(self, order_id: str, content: OrderContent, *, by: str) -> None:
        """Write a draft anew; whoever does is an author too."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, order_id)
            if row.state != OrderState.DRAFT.value:
                raise WrongMomentError("only a draft can be changed; return it to its author first")
            authors = list(dict.fromkeys([*row.authors, by]))
            await set_order(uow, order_id, authors=authors, **self._said(content))
            await note(uow, order_id, "edited", by)

    async def sign(self, order_id: str, *, by: str) -> None:
        """Sign a draft (签发): it is numbered, its document written and signed, and never changes afterwards.

        Raises OrderIncompleteError for what it lacks, NotAllowedError for its author.
        """
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, order_id)
            after = machine.moved(OrderState(row.state), Step.SIGN)
            machine.check_signer(row.authors, by, one_person=self.needs.settings.one_person)
            empty = [name for name in ("title", "content", "units") if not getattr(row, name)]
            if empty:
                raise OrderIncompleteError(f"fill in before signing: {', '.join(empty)}")
            year = row.year or uow.now.astimezone(CHINA).year
            sequence = row.sequence or await self._next(uow, year)
            number = phrases.NUMBER.format(prefix=self.needs.settings.prefix, year=year, sequence=sequence)
            text = canonical(_document(row, number, by, uow))
            if len(json.dumps(text, ensure_ascii=False).encode()) > DOCUMENT_BYTES:
                raise TooLargeError("the order is too long for one record of a link; shorten its content")
            signature = signing.sign_document(self.needs.key, text)
            signed = {"state": after.value, "year": year, "sequence": sequence, "number": number, "signed_by": by}
            signed |= {"signed_at": uow.now, "document": text, "signature": signature}
            await set_order(uow, order_id, **signed, public_key=signing.public_of(self.needs.key))
            await note(uow, order_id, "signed", by, number)

    async def _next(self, uow: UnitOfWork, year: int) -> int:
        highest = select(func.max(order_rows.c.sequence)).where(order_rows.c.year == year)
        return int((await uow.execute(highest)).scalar_one() or 0) + 1

    async def send_back(self, order_id: str, why: str, *, by: str) -> None:
        """Return a signed order to its author (退回); it keeps its number."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, order_id)
            after = machine.moved(OrderState(row.state), Step.RETURN)
            undone = {"signed_by": None, "signed_at": None, "document": "", "signature": "", "public_key": ""}
            await set_order(uow, order_id, state=after.value, **undone)
            await note(uow, order_id, "returned", by, why)

    # going down

    async def send(self, order_id: str, *, by: str) -> None:
        """Send a signed order to its units (下达); one without a gateway is told by telephone and noted here."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, order_id)
            after = machine.moved(OrderState(row.state), Step.SEND)
            await set_order(uow, order_id, state=after.value, sent_by=by, sent_at=uow.now)
            order = await find(uow, order_id)
            carriers = {unit: self._carrier(unit) for unit in order.units}
            reached = await self._owe(uow, order, carriers)
            lines = []
            for unit in order.units:
                carrier = carriers[unit] if carriers[unit] in reached else None
                line = {"id": new_ulid(self.needs.clock), "order_id": order_id, "unit": unit, "carrier": carrier}
                lines.append(line | {"state": OrderState.SENT.value, "refused_why": "", "told": []})
                if carrier is None:
                    self.needs.metrics.count("order_units_by_phone_total")
                    logger.warning("no gateway at the unit: tell it by telephone", extra={"unit": unit})
            await uow.execute(insert(order_lines), lines)
            for stored in await lines_of(uow, order_id):
                await self.reminding.arm(uow, order, stored)
            await note(uow, order_id, "sent", by, str(len(lines)))
            labels = {"urgency": order.urgency, "drill": str(order.drill).lower()}
            uow.after_commit(lambda: self.needs.metrics.count("orders_sent_total", **labels))
        logger.info("order sent", extra={"order": order_id, "number": order.number, "units": len(lines)})

    def _carrier(self, unit: str) -> str | None:
        """Return the gateway that answers for a unit: its own, else the nearest above it; None: we do."""
        for code in reversed(self.needs.area.table.path(unit)):
            if code == self.needs.area.own().code:
                return None
            node = self.needs.area.duty_node(code)
            if node == code and is_gateway(code):
                return code
        return None

    async def _owe(self, uow: UnitOfWork, order: Row[Any], carriers: Mapping[str, str | None]) -> set[str]:
        """Owe all that was said of an order to the gateways that answer for its units; returns those on a way."""
        grouped: defaultdict[str, list[str]] = defaultdict(list)
        for unit, carrier in carriers.items():
            if carrier is not None:
                grouped[carrier].append(unit)
        reached = set()
        for carrier, units in grouped.items():
            args = await self._sent(uow, order, units)
            try:
                await self.needs.links.owe_command(uow, carrier, CommandName.ORDER_SENT, args, within_s=WAITS_S)
            except LinkError:
                logger.warning("no way leads to the gateway of a unit", extra={"gateway": carrier, "order": order.id})
                continue
            reached.add(carrier)
        return reached

    async def _sent(self, uow: UnitOfWork, order: Row[Any], units: Sequence[str]) -> OrderSent:
        mine = (order_chases.c.order_id == order.id, order_chases.c.unit.in_(list(units)))
        newest = select(order_chases).where(*mine).order_by(order_chases.c.id.desc()).limit(CHASES)
        chases = [
            Chase(chase_id=row.id, unit=row.unit, by=row.by, at=row.at, text=row.text)
            for row in reversed((await uow.execute(newest)).all())
        ]
        revocation = None
        if order.revoked_at is not None:
            revocation = Revocation(by=order.revoked_by, at=order.revoked_at, reason=order.revoked_why)
        later = OrderLater(order_id=order.id, sent_at=order.sent_at, chases=tuple(chases), revocation=revocation)
        text = canonical(later)
        return OrderSent(
            document=order.document,
            signature=order.signature,
            later=text,
            later_signature=signing.sign_later(self.needs.key, text),
            key=order.public_key,
            units=tuple(units),
        )

    async def _tell_again(self, uow: UnitOfWork, order_id: str, lines: Sequence[Row[Any]]) -> None:
        await self._owe(uow, await find(uow, order_id), {line.unit: line.carrier for line in lines})

    # afterwards

    async def chase(self, order_id: str, unit: str, text: str, *, by: str) -> None:
        """Chase a unit (督办): its consoles sound, and the words stand at the order on both ends."""
        async with self.needs.store.unit() as uow:
            order = await self._own(uow, order_id)
            line = next((one for one in await lines_of(uow, order_id) if one.unit == unit), None)
            if line is None:
                raise BadInputError(f"units: the order was not sent to {unit}")
            state = shown(standing_of(line), revoked=order.revoked_at is not None)
            if state in (OrderState.DONE, OrderState.REVOKED):
                raise WrongMomentError(f"an order that is {state.value} at the unit is not chased")
            row = {"id": new_ulid(self.needs.clock), "order_id": order_id, "unit": unit, "by": by, "at": uow.now}
            await uow.execute(insert(order_chases), [row | {"text": text.strip()}])
            await self._tell_again(uow, order_id, [line])
            await note(uow, order_id, "chased", by, unit)

    async def revoke(self, order_id: str, why: str, *, by: str) -> None:
        """Revoke an order (撤销); one that was sent is withdrawn at every unit that is not done with it."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, order_id)
            after = machine.moved(OrderState(row.state), Step.REVOKE)
            said = {"revoked_by": by, "revoked_at": uow.now, "revoked_why": why.strip()}
            await set_order(uow, order_id, state=after.value, **said)
            lines = await lines_of(uow, order_id)
            if lines:
                await self.reminding.drop(uow, lines)
                await self._tell_again(uow, order_id, lines)
                await self.needs.letters.withdraw(uow, order_id)
            await note(uow, order_id, "revoked", by, why.strip())

    async def close(self, order_id: str, *, by: str) -> None:
        """Close an order (销号) that all units are done with; raises WrongMomentError before."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, order_id)
            if row.closed_at is not None:
                raise WrongMomentError(f"{row.closed_by} closed this order already")
            lines = await lines_of(uow, order_id)
            waiting = [line.unit for line in lines if line.state != OrderState.DONE.value]
            if not lines or waiting:
                raise WrongMomentError(f"an order is closed when all units are done; waiting: {', '.join(waiting)}")
            await set_order(uow, order_id, closed_by=by, closed_at=uow.now)
            await note(uow, order_id, "closed", by)

    # figures

    async def run(self) -> None:
        """Read the figures again and again."""
        while True:
            await self.measure()
            await self.needs.clock.sleep(LOOK_S)

    async def measure(self) -> None:
        """Read the figures once: orders of the last 30 days by state, and units past their time for signing."""
        head = select(order_rows.c.id, order_rows.c.own, order_rows.c.state, order_rows.c.revoked_at)
        recent = head.where(order_rows.c.created_at >= self.needs.clock.now() - COUNTED)
        ids = recent.with_only_columns(order_rows.c.id)
        parts = select(order_lines.c.order_id, order_lines.c.state, order_lines.c.overdue_at)
        async with self.needs.store.reading() as reader:
            orders = (await reader.execute(recent)).all()
            lines: defaultdict[str, list[Row[Any]]] = defaultdict(list)
            for line in (await reader.execute(parts.where(order_lines.c.order_id.in_(ids)))).all():
                lines[line.order_id].append(line)
        states: defaultdict[tuple[str, str], int] = defaultdict(int)
        overdue = 0
        for order in orders:
            states["own" if order.own else "received", state_of(order, lines[order.id]).value] += 1
            if order.own and order.revoked_at is None:
                late = (shown(standing_of(line), revoked=False) for line in lines[order.id])
                overdue += sum(state is OrderState.OVERDUE for state in late)
        self._states, self._overdue = dict(states), overdue

    @staticmethod
    async def _own(reader: Reader, order_id: str) -> Row[Any]:
        row = await find(reader, order_id)
        if not row.own:
            raise WrongMomentError("this order came from above: only its issuer changes it")
        return row


def _document(row: Row[Any], number: str, by: str, uow: UnitOfWork) -> OrderDocument:
    names = ("issuer", "issuer_name", "type", "urgency", "title", "content", "related", "papers", "units", "drill")
    said = {name: getattr(row, name) for name in (*names, "ack_within_s", "feedback_within_s")}
    more = {"order_id": row.id, "number": number, "drafted_by": row.authors[0], "signed_by": by, "signed_at": uow.now}
    return OrderDocument.model_validate(said | more)
