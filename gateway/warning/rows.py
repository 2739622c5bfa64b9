"""Between the rows of the room, its objects and the JSON of the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Row, insert, select

from gateway.events import WarningChanged
from gateway.ports.notify import LetterStanding
from gateway.ports.store import Reader, UnitOfWork
from gateway.warning.phrases import masked
from gateway.warning.rules.calling import UNANSWERED, Call, CallPhase, Confirmation, Way, late_by
from gateway.warning.tables import lines, warning_rows
from protocols.errors import NotFoundError
from protocols.warning import WarningContent

Rows = Sequence[Row[Any]]


async def find(reader: Reader, warning_id: str) -> Row[Any]:
    """Return a warning's row; raises NotFoundError."""
    row = (await reader.execute(select(warning_rows).where(warning_rows.c.id == warning_id))).one_or_none()
    if row is None:
        raise NotFoundError(f"no warning {warning_id}; see GET /api/v1/warnings")
    return row


async def note(uow: UnitOfWork, warning_id: str, what: str, by: str = "", detail: str = "") -> None:
    """Write a line of a warning's log and wake the screens."""
    line = {"warning_id": warning_id, "at": uow.now, "what": what, "by": by, "detail": detail}
    await uow.execute(insert(lines), [line])
    uow.tell(WarningChanged(warning_id))


def content_of(row: Row[Any]) -> WarningContent:
    """Read what an own warning says."""
    return WarningContent.model_validate(row.content)


def call_of(row: Row[Any]) -> Call:
    """Read the calling of one post."""
    said = None
    if row.confirmed_at is not None:
        said = Confirmation(row.confirmed_by, row.confirmed_at, Way(row.way), row.noted_by, row.note)
    return Call(row.persons, row.began_at, CallPhase(row.phase), row.step, row.due_at, said)


def values_of(call: Call) -> dict[str, Any]:
    """Return the columns that change while a post is called."""
    said = call.confirmed
    return {
        "phase": call.phase.value,
        "step": call.step,
        "due_at": call.due_at,
        "confirmed_by": said.by if said else None,
        "confirmed_at": said.at if said else None,
        "way": said.way.value if said else None,
        "noted_by": said.noted_by if said else "",
        "note": said.note if said else "",
    }


SHOWN = ("id", "origin", "kind", "state", "drill", "identifier", "sender", "unit", "replaces", "colour", "event_code")
MORE = ("event", "headline", "flags", "centres", "note", "created_at", "sent_at", "expires", "authors")
LAST = ("reviewed_by", "signed_by", "dispatched_at")


def summary(row: Row[Any], run: Row[Any] | None, called: Rows, now: datetime) -> dict[str, Any]:
    """Return one line of the list."""
    return {name: getattr(row, name) for name in (*SHOWN, *MORE, *LAST)} | {
        "expired": row.expires is not None and row.expires <= now,
        "run": None if run is None else run_view(run, called),
    }


def run_view(run: Row[Any], called: Rows) -> dict[str, Any]:
    """Return how a call-and-confirm stands."""
    answered = [row for row in called if row.confirmed_at is not None]
    due = [row.due_at for row in called if row.due_at is not None]
    took = [(row.confirmed_at - row.began_at).total_seconds() for row in answered]
    names = (
        "phase",
        "offered_at",
        "started_at",
        "started_by",
        "ended_at",
        "ended_by",
        "why",
        "within_s",
        "list_version",
    )
    return {name: getattr(run, name) for name in names} | {
        "total": len(called),
        "confirmed": len(answered),
        "unanswered": sum(row.phase in UNANSWERED for row in called),
        "late": sum(late_by(call_of(row), within_of(run)) is not None for row in called),
        "median_s": median(took) if took else None,
        "next_due": min(due, default=None),
    }


def call_view(row: Row[Any], run: Row[Any] | None, letters: Sequence[LetterStanding], *, open_: bool) -> dict[str, Any]:
    """Return the calling of one post with its messages; addresses are masked unless `open_`.

    `late_s` is how many seconds later than its time the answer came, None where it did not.
    """
    late = None if run is None else late_by(call_of(row), within_of(run))
    names = ("id", "target", "position", "phase", "step", "began_at", "due_at", "confirmed_by", "confirmed_at")
    return {name: getattr(row, name) for name in (*names, "way", "noted_by", "note")} | {
        "late_s": None if late is None else late.total_seconds(),
        "chain": [_person(one, open_=open_) for one in row.chain],
        "neighbour": None if row.neighbour is None else _person(row.neighbour, open_=open_),
        "letters": [letter_view(one, open_=open_) for one in letters if one.ref.startswith(row.id)],
    }


def _person(person: Mapping[str, Any], *, open_: bool) -> dict[str, Any]:
    hidden = {} if open_ else {name: masked(person.get(name)) or None for name in ("phone", "email", "url")}
    return {**person, **hidden}


def letter_view(letter: LetterStanding, *, open_: bool) -> dict[str, Any]:
    """Return one message with its receipt."""
    return {
        "id": letter.id,
        "channel": letter.channel.value,
        "person": letter.person,
        "address": letter.address if open_ else masked(letter.address) or None,
        "state": letter.state.value,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "created_at": letter.created_at,
        "settled_at": letter.settled_at,
    }


def urgency(row: Row[Any]) -> tuple[int, datetime, str]:
    """Sort the unanswered before the answered, who waits longest first."""
    order = {CallPhase.DOOR: 0, CallPhase.CALLING: 1, CallPhase.ENDED: 2, CallPhase.CONFIRMED: 3}
    return order[CallPhase(row.phase)], row.due_at or row.began_at, row.target


def within_of(run: Row[Any]) -> timedelta:
    """Return the time a called person has."""
    return timedelta(seconds=run.within_s)
