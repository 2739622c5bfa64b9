"""Between the rows of the room, its rules and the JSON of the API."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update

from gateway.events import OrderChanged
from gateway.orders.rules.deadlines import Plan, Reminder
from gateway.orders.rules.standing import LineStanding, shown, whole
from gateway.orders.tables import order_lines, order_log, order_rows
from gateway.ports.notify import LetterStanding
from gateway.ports.store import Reader, UnitOfWork
from gateway.settings import OrdersSection
from protocols.duty import masked
from protocols.errors import NotFoundError
from protocols.order import OrderState, Urgency

Rows = Sequence[Row[Any]]


async def find(reader: Reader, order_id: str) -> Row[Any]:
    """Return an order's row; raises NotFoundError."""
    row = (await reader.execute(select(order_rows).where(order_rows.c.id == order_id))).one_or_none()
    if row is None:
        raise NotFoundError(f"no order {order_id}; see GET /api/v1/orders")
    return row


async def lines_of(reader: Reader, order_id: str) -> list[Row[Any]]:
    """Return the lines of an order's units, by code."""
    mine = select(order_lines).where(order_lines.c.order_id == order_id).order_by(order_lines.c.unit)
    return list((await reader.execute(mine)).all())


async def line_of(reader: Reader, order_id: str, unit: str) -> Row[Any]:
    """Return one unit's line; raises NotFoundError."""
    mine = (order_lines.c.order_id == order_id, order_lines.c.unit == unit)
    row = (await reader.execute(select(order_lines).where(*mine))).one_or_none()
    if row is None:
        raise NotFoundError(f"order {order_id} was not sent to {unit} from here")
    return row


async def set_order(uow: UnitOfWork, order_id: str, **values: Any) -> None:
    """Change columns of an order."""
    await uow.execute(update(order_rows).where(order_rows.c.id == order_id).values(**values))


async def note(uow: UnitOfWork, order_id: str, what: str, by: str = "", detail: str = "") -> None:
    """Write a line of an order's log and wake the screens."""
    line = {"order_id": order_id, "at": uow.now, "what": what, "by": by, "detail": detail}
    await uow.execute(insert(order_log), [line])
    uow.tell(OrderChanged(order_id))


def plan_of(order: Row[Any], settings: OrdersSection) -> Plan:
    """Return the times of an order that was sent."""
    return Plan(
        sent_at=order.sent_at,
        ack_within=timedelta(seconds=order.ack_within_s),
        leader_after=timedelta(minutes=settings.leader_after_minutes),
        higher_after=timedelta(minutes=settings.higher_after_minutes),
        feedback_within=None if order.feedback_within_s is None else timedelta(seconds=order.feedback_within_s),
    )


def standing_of(line: Row[Any]) -> LineStanding:
    """Read how a line stands."""
    return LineStanding(OrderState(line.state), overdue=line.overdue_at is not None)


def ack_minutes(urgency: Urgency, settings: OrdersSection) -> int:
    """Return the minutes that a unit has to sign."""
    return {
        Urgency.FLASH: settings.flash_minutes,
        Urgency.URGENT: settings.urgent_minutes,
        Urgency.ROUTINE: settings.routine_minutes,
    }[urgency]


SHOWN = ("id", "own", "issuer", "issuer_name", "drill", "number", "type", "urgency", "title", "units", "authors")
TIMES = ("created_at", "signed_by", "signed_at", "sent_by", "sent_at", "ack_within_s", "feedback_within_s", "flags")
ENDS = ("revoked_by", "revoked_at", "revoked_why", "closed_by", "closed_at")
MORE = ("content", "related", "papers", "signature", "public_key")


def state_of(order: Row[Any], lines: Iterable[Row[Any]]) -> OrderState:
    """Return how an order stands as a whole."""
    return whole(OrderState(order.state), [standing_of(line) for line in lines])


def summary(order: Row[Any], lines: Rows, settings: OrdersSection) -> dict[str, Any]:
    """Return one line of the list."""
    revoked = order.revoked_at is not None
    counts: dict[str, int] = {}
    for line in lines:
        name = shown(standing_of(line), revoked=revoked).value
        counts[name] = counts.get(name, 0) + 1
    plan = plan_of(order, settings) if order.sent_at is not None else None
    return {name: getattr(order, name) for name in (*SHOWN, *TIMES, *ENDS)} | {
        "state": state_of(order, lines).value,
        "counts": counts,
        "total": len(lines) or len(order.units),
        "ack_due": plan.at(Reminder.AGAIN) if plan else None,
        "feedback_due": plan.at(Reminder.FEEDBACK) if plan else None,
    }


LINE = ("unit", "carrier", "delivered_at", "refused_why", "acknowledged_by", "acknowledged_at", "acknowledged_way")
LINE_TIMES = ("reported_at", "done_at", "withdrawn_at", "overdue_at", "told")


def line_view(line: Row[Any], order: Row[Any], name: str, entries: Rows, chases: Rows) -> dict[str, Any]:
    """Return one unit's line of the board, with all that was said."""
    said = ("id", "deed", "by", "way", "noted_by", "text", "at", "stored_at")
    return {key: getattr(line, key) for key in (*LINE, *LINE_TIMES)} | {
        "name": name,
        "state": shown(standing_of(line), revoked=order.revoked_at is not None).value,
        "reached": line.state,
        "entries": [{key: getattr(one, key) for key in said} for one in entries if one.unit == line.unit],
        "chases": [{"id": c.id, "by": c.by, "at": c.at, "text": c.text} for c in chases if c.unit == line.unit],
    }


def letter_view(letter: LetterStanding) -> dict[str, Any]:
    """Return one message with its receipt; the number is masked."""
    return {
        "ref": letter.ref,
        "channel": letter.channel.value,
        "person": letter.person,
        "address": masked(letter.address) if letter.address else None,
        "state": letter.state.value,
        "reason": letter.reason,
        "created_at": letter.created_at,
    }


def urgency_at(order: Row[Any]) -> tuple[Urgency, datetime]:
    """Return what the list is sorted by beside the state."""
    return Urgency(order.urgency), order.sent_at or order.created_at
