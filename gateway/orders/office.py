"""The orders room put together: writing, reading, what comes from above and from below, and the deadlines."""

from gateway.orders.desk import OrderDesk
from gateway.orders.inbox import OrderInbox
from gateway.orders.needs import OrderNeeds
from gateway.orders.reminding import TIMER
from gateway.orders.service import Orders

__all__ = ["TIMER", "OrderNeeds", "OrderOffice"]


class OrderOffice:
    """All parts of the room; register `answering`, `inbox.on_order` and `reminding.ring` with their neighbours."""

    def __init__(self, needs: OrderNeeds) -> None:
        self.room = Orders(needs)
        self.desk = OrderDesk(needs)
        self.reminding, self.answering = self.room.reminding, self.room.answering
        self.inbox = OrderInbox(needs, self.reminding, self.answering)
