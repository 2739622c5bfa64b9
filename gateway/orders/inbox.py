"""At the unit: orders from above, believed by their signature, shown until they are done.

A command carries all that was said of an order so far, so that it does not matter which of several comes first, and
taking one twice changes nothing. What is not believed is refused, counted, and said to the issuer.
"""

import logging
from typing import Any

from sqlalchemy import Row, insert, select

from gateway.orders import phrases, signing
from gateway.orders.answering import Answering
from gateway.orders.needs import OrderNeeds
from gateway.orders.reminding import SYSTEM, Reminding
from gateway.orders.rows import find, lines_of, note, set_order
from gateway.orders.tables import order_chases, order_keys, order_lines, order_rows
from gateway.ports.store import UnitOfWork
from protocols.aio.clock import new_ulid
from protocols.command import Command, parse_args
from protocols.errors import BadInputError, BadSchemaError, NotAllowedError, SilianError
from protocols.order import (
    AnswerWay,
    Chase,
    Deed,
    OrderAnswered,
    OrderDocument,
    OrderLater,
    OrderSent,
    OrderState,
    Revocation,
    read_part,
)

logger = logging.getLogger(__name__)
KEY_CHANGED = "key_changed"


class OrderInbox:
    """Carries out `order.sent`."""

    def __init__(self, needs: OrderNeeds, reminding: Reminding, answering: Answering) -> None:
        self._needs = needs
        self._reminding = reminding
        self._answering = answering

    async def on_order(self, command: Command) -> dict[str, Any]:
        """Take an order; raises BadInputError, NotAllowedError for one that is not believed, after saying so upward."""
        args = parse_args(OrderSent, command.args)
        try:
            document, later = self._believed(command, args)
        except SilianError as error:
            await self._refuse(command, args, error)
            raise
        async with self._needs.store.unit() as uow:
            known = select(order_rows).where(order_rows.c.id == document.order_id)
            row = (await uow.execute(known)).one_or_none()
            if row is None:
                await self._store(uow, args, document, later)
            elif row.own or row.issuer != document.issuer:
                raise BadSchemaError(f"order {document.order_id} is another's")
            await self._later(uow, await find(uow, document.order_id), later)
        return {}

    def _believed(self, command: Command, args: OrderSent) -> tuple[OrderDocument, OrderLater]:
        signing.verify_document(args.document, args.signature, args.key)
        signing.verify_later(args.later, args.later_signature, args.key)
        document, later = read_part(OrderDocument, args.document), read_part(OrderLater, args.later)
        own, table = self._needs.area.own().code, self._needs.area.table
        if later.order_id != document.order_id:
            raise BadInputError("the later words belong to another order")
        if document.issuer != command.origin:
            raise NotAllowedError(f"{command.origin} may not send an order of {document.issuer}")
        if document.issuer == own or document.issuer not in table or not table.covers(document.issuer, own):
            raise NotAllowedError(f"{document.issuer} does not stand above {own}")
        foreign = [u for u in args.units if u not in document.units or u not in table or not table.covers(own, u)]
        if foreign:
            raise NotAllowedError(f"{own} does not answer for {', '.join(foreign)} in this order")
        return document, later

    async def _refuse(self, command: Command, args: OrderSent, error: SilianError) -> None:
        """Count an order that is not believed, and tell its issuer why where it names one of its own."""
        reason = "not_allowed" if isinstance(error, NotAllowedError) else error.code
        if isinstance(error, BadInputError) and not isinstance(error, BadSchemaError):
            reason = "signature"
        self._needs.metrics.count("orders_refused_total", reason=reason)
        logger.error("order refused", extra={"origin": command.origin, "reason": reason, "why": str(error)})
        try:
            claimed = read_part(OrderDocument, args.document)
        except BadSchemaError:
            return
        own, table = self._needs.area.own().code, self._needs.area.table
        async with self._needs.store.unit() as uow:
            for unit in args.units:
                if unit in table and table.covers(own, unit):
                    said = self._word(uow, claimed.order_id, unit, Deed.REFUSED, str(error)[:500])
                    await self._answering.emit_for(uow, claimed.order_id, said, drill=claimed.drill)

    def _word(self, uow: UnitOfWork, order_id: str, unit: str, deed: Deed, text: str = "") -> OrderAnswered:
        return OrderAnswered(
            entry_id=new_ulid(self._needs.clock),
            order_id=order_id,
            unit=unit,
            deed=deed,
            way=AnswerWay.SYSTEM,
            text=text,
            at=uow.now,
        )

    # what came

    async def _store(self, uow: UnitOfWork, args: OrderSent, document: OrderDocument, later: OrderLater) -> None:
        known = await self._known_key(uow, document.issuer, args.key)
        plain = document.model_dump(mode="json")
        names = ("issuer", "issuer_name", "drill", "number", "type", "urgency", "title", "content", "related", "papers")
        row = {name: plain[name] for name in (*names, "units", "signed_by", "ack_within_s", "feedback_within_s")}
        row |= {"id": document.order_id, "own": False, "state": OrderState.SENT.value, "authors": [document.drafted_by]}
        row |= {"created_at": uow.now, "signed_at": document.signed_at, "sent_at": later.sent_at, "sent_by": ""}
        row |= {"document": args.document, "signature": args.signature, "public_key": args.key}
        row |= {"flags": [] if known else [KEY_CHANGED], "revoked_why": ""}
        await uow.execute(insert(order_rows), [row])
        await note(uow, document.order_id, "received", document.issuer, document.number)
        if not known:
            await note(uow, document.order_id, KEY_CHANGED, document.issuer)
            uow.after_commit(lambda: self._needs.metrics.count("order_keys_changed_total"))
            logger.error("key of an issuer changed", extra={"issuer": document.issuer, "order": document.order_id})
        order = await find(uow, document.order_id)
        carrier = self._needs.area.own().code
        lines = [
            {"id": new_ulid(self._needs.clock), "order_id": order.id, "unit": unit, "carrier": carrier}
            | {"state": OrderState.SENT.value, "refused_why": "", "told": []}
            for unit in sorted(set(args.units))
        ]
        await uow.execute(insert(order_lines), lines)
        for line in await lines_of(uow, order.id):
            said = self._word(uow, order.id, line.unit, Deed.DELIVERED)
            await self._answering.enter(uow, order, line, said)
            await self._answering.emit(uow, order, said)
        words = self._reminding.words(order, carrier, phrases.ARRIVED)
        await self._needs.letters.write(uow, [self._reminding.sound(order, "arrived", words)])

    async def _known_key(self, uow: UnitOfWork, issuer: str, key: str) -> bool:
        row = (await uow.execute(select(order_keys).where(order_keys.c.issuer == issuer))).one_or_none()
        if row is None:
            await uow.execute(insert(order_keys), [{"issuer": issuer, "public_key": key, "first_seen_at": uow.now}])
        return row is None or row.public_key == key

    async def _later(self, uow: UnitOfWork, order: Row[Any], later: OrderLater) -> None:
        stored = select(order_chases.c.id).where(order_chases.c.order_id == order.id)
        seen = set((await uow.execute(stored)).scalars())
        units = {line.unit for line in await lines_of(uow, order.id)}
        for chase in later.chases:
            if chase.chase_id not in seen and chase.unit in units:
                await self._chased(uow, order, chase)
        if later.revocation is not None and order.revoked_at is None:
            await self._revoked(uow, order, later.revocation)

    async def _chased(self, uow: UnitOfWork, order: Row[Any], chase: Chase) -> None:
        row = {"id": chase.chase_id, "order_id": order.id, "unit": chase.unit, "by": chase.by, "at": chase.at}
        await uow.execute(insert(order_chases), [row | {"text": chase.text}])
        words = self._reminding.words(order, chase.unit, phrases.CHASED, chase.text)
        await self._needs.letters.write(uow, [self._reminding.sound(order, f"{chase.unit}/chase", words)])
        await note(uow, order.id, "chased", chase.by, chase.unit)

    async def _revoked(self, uow: UnitOfWork, order: Row[Any], said: Revocation) -> None:
        values = {"revoked_by": said.by, "revoked_at": said.at, "revoked_why": said.reason}
        await set_order(uow, order.id, state=OrderState.REVOKED.value, **values)
        after = await find(uow, order.id)
        lines = await lines_of(uow, order.id)
        await self._reminding.drop(uow, lines)
        await self._needs.letters.withdraw(uow, order.id)
        for line in lines:
            word = self._word(uow, order.id, line.unit, Deed.WITHDRAWN)
            await self._answering.enter(uow, after, line, word)
            await self._answering.emit(uow, after, word)
        words = self._reminding.words(order, self._needs.area.own().code, phrases.WITHDRAWN, said.reason)
        await self._needs.letters.write(uow, [self._reminding.sound(order, "withdrawn", words)])
        await note(uow, order.id, "revoked", said.by or SYSTEM, said.reason)
