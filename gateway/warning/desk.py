"""Reading warnings: the list, one whole, the board of a call-and-confirm, its record on paper, the Atom feed."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, select

from gateway.ports.paper import Document, Facts, Grid
from gateway.ports.store import Reader
from gateway.warning import phrases, rows
from gateway.warning.needs import WarningNeeds
from gateway.warning.tables import calls, lines, runs, warning_rows
from protocols.cap import CapType
from protocols.errors import NotFoundError
from protocols.warning import WarningOrigin, WarningState

LISTED: Final = 200
FEED_ENTRIES: Final = 100
RENEWED_MIN: Final = 10
"""The feed's own time is renewed so often, so that its readers can tell a quiet feed from a dead one."""
FEED_DAYS: Final = timedelta(days=30)
ISSUED_STATES: Final = tuple(
    state.value
    for state in WarningState
    if state not in {WarningState.RECEIVED, WarningState.DRAFTED, WarningState.REVIEWED, WarningState.SIGNED}
)


class WarningDesk:
    """Reads for people and for feed readers."""

    def __init__(self, needs: WarningNeeds) -> None:
        self._needs = needs

    async def page(self) -> list[dict[str, Any]]:
        """Return the newest warnings, the newest first, each with how its call-and-confirm stands."""
        async with self._needs.store.reading() as reader:
            newest = (
                select(warning_rows).order_by(warning_rows.c.created_at.desc(), warning_rows.c.id.desc()).limit(LISTED)
            )
            found = (await reader.execute(newest)).all()
            ids = [row.id for row in found]
            ran = {row.warning_id: row for row in await reader.execute(select(runs).where(runs.c.warning_id.in_(ids)))}
            called: dict[str, list[Row[Any]]] = defaultdict(list)
            for row in await reader.execute(select(calls).where(calls.c.warning_id.in_(list(ran)))):
                called[row.warning_id].append(row)
        now = self._needs.clock.now()
        return [rows.summary(row, ran.get(row.id), called[row.id], now) for row in found]

    async def get(self, warning_id: str, *, open_: bool) -> dict[str, Any]:
        """Return a whole warning: content, log, receipts, and every post that is called, the unanswered first.

        Addresses are masked unless `open_`. Raises NotFoundError.
        """
        async with self._needs.store.reading() as reader:
            row = await rows.find(reader, warning_id)
            run, called, log = await self._parts(reader, warning_id)
            letters = await self._needs.letters.of(reader, warning_id)
        whole = rows.summary(row, run, called, self._needs.clock.now())
        others = [one for one in letters if not any(one.ref.startswith(call.id) for call in called)]
        return whole | {
            "content": row.content,
            "signature": row.signature,
            "public_key": row.public_key,
            "calls": [rows.call_view(one, run, letters, open_=open_) for one in sorted(called, key=rows.urgency)],
            "outlets": [rows.letter_view(one, open_=open_) for one in others],
            "log": [{"at": one.at, "what": one.what, "by": one.by, "detail": one.detail} for one in log],
        }

    @staticmethod
    async def _parts(reader: Reader, warning_id: str) -> tuple[Row[Any] | None, list[Row[Any]], list[Row[Any]]]:
        run = (await reader.execute(select(runs).where(runs.c.warning_id == warning_id))).one_or_none()
        called = (await reader.execute(select(calls).where(calls.c.warning_id == warning_id))).all()
        log = await reader.execute(select(lines).where(lines.c.warning_id == warning_id).order_by(lines.c.number))
        return run, list(called), list(log.all())

    async def document(self, warning_id: str) -> Row[Any]:
        """Return the row of a warning that has a document; raises NotFoundError."""
        async with self._needs.store.reading() as reader:
            row = await rows.find(reader, warning_id)
        if not row.document:
            raise NotFoundError("this warning has no document yet: it is written when it is signed")
        return row

    async def published(self, *, drills: bool) -> list[Row[Any]]:
        """Return own warnings dispatched in the last 30 days, the newest first; drills only where asked for."""
        since = self._needs.clock.now() - FEED_DAYS
        mine = [warning_rows.c.origin == WarningOrigin.OWN.value, warning_rows.c.dispatched_at >= since]
        if not drills:
            mine.append(warning_rows.c.drill.is_(False))
        wanted = (
            select(warning_rows).where(*mine).order_by(warning_rows.c.dispatched_at.desc(), warning_rows.c.id.desc())
        )
        async with self._needs.store.reading() as reader:
            return list((await reader.execute(wanted.limit(FEED_ENTRIES))).all())

    async def published_one(self, identifier: str, *, drills: bool) -> Row[Any]:
        """Return one of them; raises NotFoundError, also for what is no longer in the feed."""
        found = next((row for row in await self.published(drills=drills) if row.identifier == identifier), None)
        if found is None:
            raise NotFoundError(f"no published warning {identifier}")
        return found

    async def record(self, warning_id: str) -> dict[str, Any]:
        """Return who was reached how and when; raises NotFoundError where nobody was called."""
        whole = await self.get(warning_id, open_=False)
        if whole["run"] is None or whole["run"]["started_at"] is None:
            raise NotFoundError("nobody was called for this warning: there is no record")
        return whole


def paper_of(whole: dict[str, Any]) -> Document:
    """Return the closing record as a document."""
    run = whole["run"]
    counts = {name: str(run[name]) for name in ("total", "confirmed")}
    counts["unanswered"] = str(run["total"] - run["confirmed"])
    facts = {
        "headline": whole["headline"],
        "unit": whole["unit"],
        "identifier": whole["identifier"],
        "sent_at": phrases.clock(whole["sent_at"]),
        "started": f"{phrases.clock(run['started_at'])} {run['started_by']}",
        "ended": f"{phrases.clock(run['ended_at'])} {run['why']}".strip(),
        **counts,
        "late": str(run["late"]) if run["late"] else "",
        "median": _took(run["median_s"]),
    }
    notes = [phrases.DRILL] if whole["drill"] else []
    notes += [] if run["ended_at"] else [phrases.RECORD_OPEN]
    letters = [letter for call in whole["calls"] for letter in call["letters"]] + whole["outlets"]
    letters.sort(key=lambda one: (one["created_at"], one["person"], one["channel"]))
    return Document(
        heading=phrases.RECORD,
        notes=tuple(notes),
        wide=True,
        parts=(
            Facts(tuple((phrases.FACTS[name], text) for name, text in facts.items() if text)),
            Grid(phrases.CALLS, tuple(map(_call_line, whole["calls"])), phrases.CALLS_TITLE),
            Grid(phrases.LETTERS, tuple(map(_letter_line, letters)), phrases.LETTERS_TITLE),
            Grid(phrases.LINES, tuple(map(_log_line, whole["log"])), phrases.LINES_TITLE),
        ),
    )


def _call_line(call: dict[str, Any]) -> tuple[str, ...]:
    took = None
    if call["confirmed_at"] is not None:
        took = (call["confirmed_at"] - call["began_at"]).total_seconds()
    return (
        call["target"],
        " → ".join(person["name"] for person in call["chain"]),
        phrases.PHASES[call["phase"]],
        call["confirmed_by"] or "",
        phrases.WAYS[call["way"]],
        phrases.clock(call["confirmed_at"]),
        _took(took) + (phrases.LATE.format(took=_took(call["late_s"])) if call["late_s"] else ""),
        " ".join(part for part in (call["noted_by"], call["note"]) if part),
    )


def _letter_line(letter: dict[str, Any]) -> tuple[str, ...]:
    return (
        phrases.clock(letter["created_at"]),
        letter["person"],
        phrases.CHANNELS[letter["channel"]],
        letter["address"] or "",
        phrases.RECEIPTS[letter["state"]],
        str(letter["attempts"]),
        letter["reason"],
    )


def _log_line(line: dict[str, Any]) -> tuple[str, ...]:
    return phrases.clock(line["at"]), phrases.WHAT.get(line["what"], line["what"]), line["by"], line["detail"]


def _took(seconds: float | None) -> str:
    return "" if seconds is None else f"{int(seconds // 60)}分{int(seconds % 60):02d}秒"


def feed_time(published: list[Row[Any]], now: datetime) -> datetime:
    """Return the feed's own time."""
    renewed = now.replace(minute=now.minute // RENEWED_MIN * RENEWED_MIN, second=0, microsecond=0)
    newest: datetime = published[0].dispatched_at if published else renewed
    return max(renewed, newest)


def feed_of(published: list[Row[Any]], base_url: str, title: str, now: datetime) -> bytes:
    """Return the Atom feed (RFC 4287) of published warnings, each with the place of its CAP document."""
    from lxml import etree

    atom = "http://www.w3.org/2005/Atom"
    root = etree.Element(f"{{{atom}}}feed", nsmap={None: atom})  # type: ignore[dict-item]  # the default namespace

    def add(parent: Any, name: str, text: str = "", **attributes: str) -> Any:
        child = etree.SubElement(parent, f"{{{atom}}}{name}", attributes)
        child.text = text or None
        return child

    add(root, "id", f"{base_url}/feeds/warnings.atom")
    add(root, "title", title)
    add(root, "updated", feed_time(published, now).isoformat(timespec="seconds"))
    add(root, "link", rel="self", href=f"{base_url}/feeds/warnings.atom")
    add(add(root, "author"), "name", title)
    for row in published:
        entry = add(root, "entry")
        add(entry, "id", f"urn:silian:warning:{row.identifier}")
        add(entry, "title", phrases.marked(row.headline, drill=row.drill))
        add(entry, "updated", row.dispatched_at.isoformat(timespec="seconds"))
        add(entry, "category", term=CapType(row.kind).value)
        href = f"{base_url}/feeds/warnings/{row.identifier}.xml"
        add(entry, "link", rel="alternate", type="application/cap+xml", href=href)
    feed: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return feed
