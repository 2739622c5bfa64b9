"""How an order stands as a whole, seen from its units; and which orders come first in a list. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gateway.orders.machine import LINE
from protocols.order import OrderState, Urgency

_S = OrderState
_URGENT_FIRST = (Urgency.FLASH, Urgency.URGENT, Urgency.ROUTINE)
OVER = frozenset({_S.DONE, _S.REVOKED})


@dataclass(frozen=True, slots=True)
class LineStanding:
    """One unit's line; `overdue` once a deadline of it passed."""

    state: OrderState
    overdue: bool


def shown(line: LineStanding, *, revoked: bool) -> OrderState:
    """Return the state that a unit's line shows: a deadline that passed hides how far an unsigned order came."""
    if revoked and line.state is not _S.DONE:
        return _S.REVOKED
    unsigned = LINE.index(line.state) < LINE.index(_S.ACKNOWLEDGED)
    return _S.OVERDUE if line.overdue and unsigned else line.state


def whole(state: OrderState, lines: Iterable[LineStanding]) -> OrderState:
    """Return the order's state: what it is before it is sent, then that of the unit that is least far."""
    if state is not _S.SENT:
        return state
    states = [shown(line, revoked=False) for line in lines]
    if _S.OVERDUE in states:
        return _S.OVERDUE
    return min(states, key=LINE.index, default=_S.SENT)


def rank(state: OrderState, urgency: Urgency, at: datetime, *, closed: bool) -> tuple[int, int, float]:
    """Sort key of the list: overdue, then open by urgency, then what is over; the newest first within each."""
    group = 2 if closed or state in OVER else 0 if state is _S.OVERDUE else 1
    return group, _URGENT_FIRST.index(urgency) if group < 2 else 0, -at.timestamp()
