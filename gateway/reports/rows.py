"""Between the rows of the room and the JSON of the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from protocols.report import NUMBERS, Content, Grades

Rows = Sequence[Row[Any]]


def content_of(row: Row[Any]) -> Content:
    """Read what a version says."""
    return Content.model_validate(row.content)


def grades_in(row: Row[Any]) -> Grades:
    """Read the grades of a version."""
    return Grades(confirmed=row.confirmed, possible=row.possible)


def summary(report: Row[Any], versions: Rows, deliveries: Rows, clocks: Rows, now: datetime) -> dict[str, Any]:
    """Return one line of the list: the newest version's words, the next clock, and how the sending stands."""
    last = versions[-1]
    running = [clock_view(row, now) for row in clocks if row.stopped_at is None]
    return {
        "id": report.id,
        "serial": report.serial,
        "origin": report.origin,
        "own": report.own,
        "state": report.state,
        "drill": report.drill,
        "alarm_id": report.alarm_id,
        "based_on": report.based_on,
        "known_at": report.known_at,
        "watch_until": report.watch_until,
        "opened_by": report.opened_by,
        "opened_at": report.opened_at,
        "title": last.content.get("title") or last.content.get("summary", "")[:60],
        "place": last.content.get("place", ""),
        "kind": last.kind,
        "number": last.number,
        "version": last.version,
        "signed": last.signed_at is not None,
        "sent": last.sent_at is not None,
        "confirmed": last.confirmed,
        "possible": last.possible,
        "clock": min(running, key=lambda clock: clock["due"]) if running else None,
        "overdue": sum(clock["late"] for clock in running),
        "undelivered": sum(row.delivered_at is None for row in deliveries),
        "deliveries": [delivery_view(row) for row in deliveries],
    }


def detail(
    report: Row[Any], versions: Rows, deliveries: Rows, clocks: Rows, log: Rows, now: datetime
) -> dict[str, Any]:
    """Return a whole report."""
    return summary(report, versions, deliveries, clocks, now) | {
        "versions": [version_view(row) for row in versions],
        "clocks": [clock_view(row, now) for row in clocks],
        "history": history(versions),
        "log": [{"at": row.at, "what": row.what, "by": row.by, "detail": row.detail} for row in log],
    }


def version_view(row: Row[Any]) -> dict[str, Any]:
    """Return one version."""
    names = ("version", "kind", "number", "corrects", "content", "changed", "reasons", "confirmed", "possible")
    more = ("known_at", "author", "created_at", "signed_by", "signed_at", "sent_at")
    return {name: getattr(row, name) for name in (*names, *more)}


def delivery_view(row: Row[Any]) -> dict[str, Any]:
    """Return one delivery."""
    names = ("id", "version", "to", "way", "sent_at", "delivered_at", "receiver", "acknowledged_at", "acknowledged_by")
    return {name: getattr(row, name) for name in (*names, "returned_at", "returned_by", "reason")}


def clock_view(row: Row[Any], now: datetime) -> dict[str, Any]:
    """Return one clock; `late` compares the delivery, or else the present time, with the due time."""
    names = (
        "id",
        "rule",
        "to",
        "form",
        "grade",
        "possible",
        "since",
        "due",
        "article",
        "told",
        "late_at",
        "stopped_at",
    )
    return {name: getattr(row, name) for name in names} | {"late": (row.stopped_at or now) > row.due}


def history(versions: Rows) -> dict[str, list[dict[str, Any]]]:
    """Return for each number all its values, with who said so, whether it was checked, and why it changed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in NUMBERS:
        before: Any = None
        for row in versions:
            figure = row.content.get(name)
            if figure != before:
                entry = {"version": row.version, "at": row.created_at, "reason": row.reasons.get(name, "")}
                found.setdefault(name, []).append(
                    entry | (figure or {"value": None, "source": "", "verification": None})
                )
                before = figure
    return found
