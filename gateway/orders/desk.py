"""Reading orders: the list with the overdue first, and one whole with the board of its units."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Row, select

from gateway.orders import phrases, rows
from gateway.orders.needs import OrderNeeds
from gateway.orders.rows import ack_minutes, find, lines_of, state_of, urgency_at
from gateway.orders.rules.standing import OVER, rank
from gateway.orders.tables import order_chases, order_entries, order_lines, order_log, order_rows
from protocols.order import OrderState, OrderType, Urgency

LISTED = 200


class OrderDesk:
    """Reads orders for people."""

    def __init__(self, needs: OrderNeeds) -> None:
        self._needs = needs

    def setup(self) -> dict[str, Any]:
        """Return what a new order is made of: units below, minutes by urgency, templates by type."""
        own, settings = self._needs.area.own(), self._needs.settings
        units = [
            {"code": one.code, "name": one.name, "name_en": one.name_en, "tier": one.tier.value}
            for one in self._needs.area.centres()
            if one.code != own.code
        ]
        return {
            "units": [unit | {"gateway": self._needs.area.duty_node(unit["code"]) == unit["code"]} for unit in units],
            "minutes": {urgency.value: ack_minutes(urgency, settings) for urgency in Urgency},
            "templates": {
                kind.value: dict(zip(("title", "content"), phrases.TEMPLATES[kind.value], strict=True))
                for kind in OrderType
            },
            "one_person": settings.one_person,
        }

    async def page(self) -> list[dict[str, Any]]:
        """Return the newest 200 orders, own and received: overdue first, then open by urgency, then what is over."""
        newest = select(order_rows).order_by(order_rows.c.id.desc()).limit(LISTED)
        async with self._needs.store.reading() as reader:
            found = (await reader.execute(newest)).all()
            mine = order_lines.c.order_id.in_([row.id for row in found])
            lines: defaultdict[str, list[Row[Any]]] = defaultdict(list)
            for line in (await reader.execute(select(order_lines).where(mine))).all():
                lines[line.order_id].append(line)

        def key(row: Row[Any]) -> tuple[int, int, float]:
            return rank(state_of(row, lines[row.id]), *urgency_at(row), closed=row.closed_at is not None)

        return [rows.summary(row, lines[row.id], self._needs.settings) for row in sorted(found, key=key)]

    async def open(self) -> list[tuple[str, str]]:
        """Return id and words of what is neither done nor revoked, for the handover of a shift."""
        over = {state.value for state in OVER}
        return [
            (one["id"], phrases.marked(phrases.OPEN.format(**one), drill=one["drill"]))
            for one in await self.page()
            if one["state"] not in over and one["closed_at"] is None and one["state"] != OrderState.DRAFT.value
        ]

    async def get(self, order_id: str) -> dict[str, Any]:
        """Return a whole order with log, letters and the board of its units; raises NotFoundError."""
        async with self._needs.store.reading() as reader:
            order = await find(reader, order_id)
            lines = await lines_of(reader, order_id)
            said = select(order_entries).where(order_entries.c.order_id == order_id)
            entries = (await reader.execute(said.order_by(order_entries.c.at, order_entries.c.id))).all()
            chased = select(order_chases).where(order_chases.c.order_id == order_id).order_by(order_chases.c.id)
            chases = (await reader.execute(chased)).all()
            noted = select(order_log).where(order_log.c.order_id == order_id).order_by(order_log.c.number)
            log = (await reader.execute(noted)).all()
            letters = await self._needs.letters.of(reader, order_id)
        own = self._needs.area.own().code
        return rows.summary(order, lines, self._needs.settings) | {
            **{name: getattr(order, name) for name in rows.MORE},
            "lines": [
                rows.line_view(line, order, self._name(line.unit), entries, chases) | {"here": line.unit == own}
                for line in lines
            ],
            "letters": [rows.letter_view(letter) for letter in letters],
            "log": [{"at": one.at, "what": one.what, "by": one.by, "detail": one.detail} for one in log],
        }

    def _name(self, code: str) -> str:
        table = self._needs.area.table
        return table[code].name if code in table else code
