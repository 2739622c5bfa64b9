"""An order on paper: what was signed, and how far each unit has come. Times are those of China on the 24-hour clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, Literal

from gateway.orders import phrases
from gateway.ports.paper import MEDIA_TYPES, Document, Facts, Grid, Paper, Part, Words

CHINA: Final = timezone(timedelta(hours=8))
Order = Mapping[str, Any]
"""An order as `OrderDesk.get` returns it."""


class OrderPrinter:
    """Prints orders."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper

    async def printed(self, order: Order, form: Literal["pdf", "docx"]) -> tuple[bytes, str]:
        """Return an order as a file, and its media type; raises NeedsFontError where no font has Chinese."""
        return await self._paper.printed(document_of(order), form), MEDIA_TYPES[form]


def document_of(order: Order) -> Document:
    """Return what is printed of an order: its head, its words, the board of its units and what they said."""
    notes = [phrases.DRILL] if order["drill"] else []
    notes += [] if order["signed_at"] else [phrases.PAPER_DRAFT]
    if order["revoked_at"]:
        revoked = {"by": order["revoked_by"], "at": _time(order["revoked_at"]), "why": order["revoked_why"]}
        notes.append(phrases.PAPER_REVOKED.format(**revoked))
    parts: list[Part] = [Facts(_head(order)), Words(tuple(order["content"].splitlines()))]
    belongs = [*(phrases.PAPER_ABOUT.format(**one) for one in order["related"]), *order["papers"]]
    parts += [Words(tuple(belongs), phrases.PAPER_PAPERS)] if belongs else []
    parts += [_board(order)] if order["lines"] else []
    parts += [_said(order)] if any(line["entries"] or line["chases"] for line in order["lines"]) else []
    closing = [order["issuer_name"], _time(order["signed_at"])] if order["signed_at"] else []
    return Document(order["title"], tuple(parts), tuple(notes), closing=tuple(closing))


def _head(order: Order) -> tuple[tuple[str, str], ...]:
    minutes = order["ack_within_s"] // 60
    feedback = order["feedback_within_s"]
    values = {
        "number": order["number"] or "",
        "type": phrases.TYPES[order["type"]],
        "urgency": phrases.URGENCY[order["urgency"]],
        "issuer": f"{order['issuer_name']} {order['issuer']}",
        "drafted_by": "、".join(order["authors"]),
        "signed_by": f"{order['signed_by'] or ''} {_time(order['signed_at'])}".strip(),
        "sent_at": _time(order["sent_at"]),
        "within": phrases.PAPER_WITHIN.format(minutes=minutes),
        "feedback": phrases.PAPER_WITHIN.format(minutes=feedback // 60) if feedback else "",
        "closed_at": f"{order['closed_by'] or ''} {_time(order['closed_at'])}".strip(),
    }
    return tuple((phrases.PAPER_HEAD[name], text) for name, text in values.items() if text)


def _board(order: Order) -> Grid:
    rows = tuple(
        (
            f"{line['name']} {line['unit']}",
            phrases.STATES[line["state"]],
            _time(line["delivered_at"]),
            f"{line['acknowledged_by'] or ''} {_time(line['acknowledged_at'])}".strip(),
            _time(line["done_at"]),
        )
        for line in order["lines"]
    )
    return Grid(phrases.PAPER_COLUMNS, rows, phrases.PAPER_UNITS, (2.4, 1.2, 2.0, 2.6, 2.0))


def _said(order: Order) -> Grid:
    """Return what units said and were told, in the order of time."""
    told = [
        (one["at"], line["name"], phrases.DEEDS[one["deed"]], _who(one), one["text"])
        for line in order["lines"]
        for one in line["entries"]
    ]
    told += [
        (one["at"], line["name"], phrases.CHASE, one["by"], one["text"])
        for line in order["lines"]
        for one in line["chases"]
    ]
    rows = tuple((_time(at), *rest) for at, *rest in sorted(told, key=lambda one: (one[0], one[1])))
    return Grid(phrases.PAPER_SAID_COLUMNS, rows, phrases.PAPER_SAID, (2.0, 1.6, 1.2, 2.2, 3.6))


def _who(entry: Mapping[str, Any]) -> str:
    """Return who spoke, how, and who wrote it down for them."""
    way = "" if entry["way"] in ("console", "system") else f"（{phrases.WAYS[entry['way']]}）"
    noted = entry["noted_by"] if entry["noted_by"] != entry["by"] and way else ""
    return f"{entry['by']}{way}" + (f"，{phrases.NOTED.format(by=noted)}" if noted else "")


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
