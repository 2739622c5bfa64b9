"""The result sheet and the bulletin as documents for every form of paper, and the sheet as CSV for spreadsheets."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from gateway.ports.paper import Document, Facts, Grid, Part, Words
from gateway.rollcall import phrases
from gateway.rollcall.rules.bulletin import figures, head
from gateway.rollcall.rules.sheet import Sheet, cells, clock

Audience = Literal["leaders", "units"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sheet_document(sheet: Sheet, notes: Sequence[str] = ()) -> Document:
    """Return the whole form, a row a point."""
    rows = tuple(cells(line) for line in sheet.lines)
    marks = (*([phrases.DRILL] if sheet.drill else []), *notes)
    return Document(sheet.title, (Grid(phrases.COLUMNS, rows),), marks, wide=True)


def sheet_csv(sheet: Sheet) -> bytes:
    """Return the form as CSV: UTF-8 with a byte order mark; no cell can run as a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(phrases.COLUMNS)
    for line in sheet.lines:
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells(line)])
    return ("\ufeff" + out.getvalue()).encode()


def bulletin_document(
    content: Mapping[str, Any],
    lines: Mapping[str, Sequence[str]],
    centre: str,
    *,
    seal: str,
    audience: Audience = "units",
    own: str | None = None,
) -> Document:
    """Return a bulletin on paper. For leaders: one page without the units' lines; `own`: that unit's line alone.

    `content` is what `rules.bulletin.plain` gives, `lines` the cells of the units' lines by centre. An empty seal means
    a draft.
    """
    parts: list[Part] = [
        Facts((*head(content), *_sealed(seal)), phrases.PARTS["head"]),
        _figures(content),
        Words(tuple(content["problems"]) or (phrases.NO_PROBLEMS,), phrases.PARTS["problems"]),
    ]
    if content["praise"]:
        parts.append(Words(("、".join(content["praise"]),), phrases.PARTS["praise"]))
    demands = _demands(content)
    if demands:
        parts.append(Words(demands, phrases.PARTS["demands"]))
    if content["attachments"]:
        parts.append(Words(tuple(content["attachments"]), phrases.PARTS["attachments"]))
    if own is not None:
        parts.append(_own(lines[own]))
    elif audience == "units":
        parts.append(Grid(phrases.COLUMNS, tuple(tuple(line) for line in lines.values()), phrases.PARTS["lines"]))
    marks = (*([phrases.DRILL] if content["drill"] else []), *([] if seal else [phrases.DRAFT]))
    wide = audience == "units" and own is None
    closing = (centre, clock(datetime.fromisoformat(content["published_at"])))
    return Document(phrases.BULLETIN_TITLE.format(centre=centre), tuple(parts), marks, wide=wide, closing=closing)


def _sealed(seal: str) -> tuple[tuple[str, str], ...]:
    # In groups, so that a line of paper holds it and a person can compare it.
    return ((phrases.BULLETIN["seal"], " ".join(seal[at : at + 8] for at in range(0, len(seal), 8))),) if seal else ()


def _figures(content: Mapping[str, Any]) -> Grid:
    names, values = zip(*figures(content), strict=True)
    return Grid(tuple(names), (tuple(values),), phrases.PARTS["figures"])


def _own(line: Sequence[str]) -> Facts:
    filled = tuple((name, text) for name, text in zip(phrases.COLUMNS, line, strict=True) if text)
    return Facts(filled, phrases.PARTS["own"])


def _demands(content: Mapping[str, Any]) -> tuple[str, ...]:
    by = content["remedy_by"]
    until = phrases.REMEDY.format(by=clock(datetime.fromisoformat(by))) if by else ""
    return tuple(text for text in (content["demands"], until) if text)
