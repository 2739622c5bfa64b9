"""What lies open at this gateway when a shift ends: alarms nobody took in hand, orders, roll calls and calls."""

from gateway.alarms.service import Alarms, Wanted
from gateway.dispatch.machine import CallState
from gateway.dispatch.service import DispatchService
from gateway.duty.needs import OpenItem
from gateway.orders.desk import OrderDesk
from gateway.rollcall.service import RollCallService
from protocols.alarm import Condition, Severity
from protocols.rollcall import UNDER_WAY

ALARMS = 200
CALLS = 20


class Open:
    """Asks the rooms; supplies the duty room's `OpenItems`."""

    def __init__(self, alarms: Alarms, rollcall: RollCallService, dispatch: DispatchService, orders: OrderDesk) -> None:
        self._alarms = alarms
        self._rollcall = rollcall
        self._dispatch = dispatch
        self._orders = orders

    async def open_items(self) -> list[OpenItem]:
        """Return all of it, the gravest first."""
        page = await self._alarms.page(Wanted(condition=Condition.ACTIVE, acknowledged=False, shown=True, limit=ALARMS))
        items = [
            OpenItem(
                kind="alarm",
                id=one["id"],
                text=one["headline"],
                severity=one["severity"],
                red=one["severity"] == Severity.RED,
            )
            for one in sorted(page["items"], key=lambda one: one["severity"])
        ]
        for id_, text in await self._orders.open():
            items.append(OpenItem(kind="order", id=id_, text=text))
        for call in await self._rollcall.page(limit=CALLS):
            if call.record.state in UNDER_WAY:
                text = f"点名进行中（{call.present}/{call.due}）"
                items.append(OpenItem(kind="roll_call", id=call.record.id, text=text))
        for one in await self._dispatch.page(limit=CALLS):
            if one.state is not CallState.ENDED:
                text = f"调度通话进行中 {one.caller_centre} → {one.callee_centre}"
                items.append(OpenItem(kind="call", id=one.id, text=text))
        return items
