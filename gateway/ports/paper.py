"""Port `paper`: a document of plain parts becomes a PDF with embedded Chinese fonts, a Word file or a workbook.

Rooms say what stands on the paper (`Document`), never how it is set. **All forms carry the same words**: what a room
puts into a document reads back from each of them, letter for letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Form = Literal["pdf", "docx", "xlsx"]
MEDIA_TYPES: dict[Form, str] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class Words:
    """Running text, a paragraph each."""

    paragraphs: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Labelled lines."""

    lines: tuple[tuple[str, str], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a heading row that is repeated on every page. `widths` are shares of the line; empty: alike."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    widths: tuple[float, ...] = ()


Part = Words | Facts | Grid


@dataclass(frozen=True, slots=True)
class Document:
    """What stands on paper. `notes` are red lines under the heading (【演练】, a draft); `wide` turns the page."""

    heading: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    wide: bool = False
    closing: tuple[str, ...] = ()
    """Lines at the right below the last part: who issues it, and when."""


class Paper(Protocol):
    """Sets documents."""

    async def printed(self, document: Document, form: Form) -> bytes:
        """Return the file; raises NeedsFontError where a PDF is wanted and no font has Chinese."""
        ...


def said(document: Document) -> Sequence[str]:
    """Return every text of a document in its order, for proving that a file says all of it."""
    found = [document.heading, *document.notes]
    for part in document.parts:
        if part.title:
            found.append(part.title)
        match part:
            case Words(paragraphs):
                found.extend(paragraphs)
            case Facts(lines):
                found.extend(text for line in lines for text in line)
            case Grid(columns, rows):
                found.extend([*columns, *(cell for row in rows for cell in row)])
    return [text for text in [*found, *document.closing] if text]
