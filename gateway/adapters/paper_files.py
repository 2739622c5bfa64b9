"""Documents as files: PDF by typst with the font embedded, Word by python-docx, workbooks by XlsxWriter."""

import asyncio
import io
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.ports.paper import Document, Facts, Form, Grid, Words
from protocols.errors import NeedsFontError

SYSTEM_FONTS: Final = (
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc"),
)
NO_FONT: Final = (
    "needs a font with Chinese to print: install fonts-noto-cjk, or name a font file in reports.font; Word needs none"
)
_LATIN = re.compile(r"[!-~]+")
SHEET_NAME: Final = 31
"""A workbook's limit for the name of a sheet."""
_TEMPLATE = """
#let data = json("data.json")
#set document(title: data.heading)
#set page(paper: if data.wide { "a3" } else { "a4" }, flipped: data.wide)
#set page(margin: if data.wide { 1.2cm } else { 2cm }, numbering: "1 / 1")
#set text(font: FAMILIES, size: if data.wide { 7pt } else { 11pt }, lang: "zh", region: "cn", fallback: false)
#set table(stroke: 0.5pt + luma(150))
#align(center, text(size: 18pt, data.heading))
#for line in data.notes { align(center, text(size: 11pt, fill: red, line)) }
#for part in data.parts {
  if part.title != "" { block(above: 1.2em, text(size: if data.wide { 10pt } else { 13pt }, part.title)) }
  if part.kind == "words" {
    for line in part.paragraphs { par(first-line-indent: (amount: 2em, all: true), line) }
  } else if part.kind == "facts" {
    table(columns: (4.2cm, 1fr), inset: 5pt,
      ..part.lines.map(l => (text(fill: luma(70), l.at(0)), l.at(1))).flatten())
  } else {
    set text(size: if data.wide { 7pt } else { 9pt })
    table(columns: part.widths.map(w => w * 1fr), inset: if data.wide { 2.5pt } else { 4pt },
      table.header(..part.columns.map(c => text(weight: "bold", c))), ..part.rows.flatten())
  }
}
#for line in data.closing { align(right, line) }
"""


class PaperFiles:
    """Sets documents. `font` is a file with Chinese, None: Noto CJK of the system."""

    def __init__(self, font: Path | None = None) -> None:
        self._font = font

    async def printed(self, document: Document, form: Form) -> bytes:
        """Return the file; raises NeedsFontError where a PDF is wanted and no font has Chinese."""
        make = {"pdf": self._pdf, "docx": _word, "xlsx": _workbook}[form]
        return await asyncio.to_thread(make, document)

    def _pdf(self, document: Document) -> bytes:
        import typst

        font = self._font or next((path for path in SYSTEM_FONTS if path.is_file()), None)
        if font is None or not font.is_file():
            raise NeedsFontError(NO_FONT)
        with tempfile.TemporaryDirectory(prefix="silian-print-") as name:
            folder = Path(name)
            (folder / "fonts").mkdir()
            (folder / "fonts" / font.name).symlink_to(font.resolve())
            fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder / "fonts"])
            families = fonts.families()
            if not families:
                raise NeedsFontError(NO_FONT)
            wanted = next((one for one in families if one.endswith(("SC", "CN"))), families[0])
            (folder / "data.json").write_text(json.dumps(_plain(document), ensure_ascii=False), "utf-8")
            (folder / "main.typ").write_text(_TEMPLATE.replace("FAMILIES", json.dumps(wanted)), "utf-8")
            made = typst.compile(
                folder / "main.typ", root=folder, font_paths=[folder / "fonts"], ignore_system_fonts=True
            )
        return bytes(made)


def _plain(document: Document) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for part in document.parts:
        match part:
            case Words(paragraphs, title):
                parts.append({"kind": "words", "title": title, "paragraphs": paragraphs})
            case Facts(lines, title):
                parts.append({"kind": "facts", "title": title, "lines": lines})
            case Grid(columns, rows, title, widths):
                shares = widths or _shares(columns, rows)
                parts.append(
                    {"kind": "grid", "title": title, "columns": columns, "rows": [list(row) for row in rows]}
                    | {"widths": shares}
                )
    return {
        "heading": document.heading,
        "notes": document.notes,
        "wide": document.wide,
        "closing": document.closing,
        "parts": parts,
    }


def _shares(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Give each column room for its longest word, and more where its texts are long; Chinese breaks anywhere."""

    def weight(cells: Iterable[str]) -> float:
        told = list(cells)
        words = [len(word) * 1.1 for cell in told for word in _LATIN.findall(cell)]
        whole = max((sum(1 if char.isascii() else 2 for char in cell) for cell in told), default=0)
        return max(4.5, *words, min(16.0, whole / 3))

    return [weight([name, *(row[at] for row in rows)]) for at, name in enumerate(columns)]


def _word(document: Document) -> bytes:
    import docx
    from docx.enum.section import WD_ORIENT
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml.ns import qn

    made = docx.Document()
    style: Any = made.styles["Normal"]
    style.font.name = "FangSong"
    style.element.rPr.rFonts.set(qn("w:eastAsia"), "仿宋")
    if document.wide:
        page: Any = made.sections[0]
        page.orientation = WD_ORIENT.LANDSCAPE
        page.page_width, page.page_height = page.page_height, page.page_width
    made.add_heading(document.heading, 1)
    for note in document.notes:
        made.add_paragraph(note)
    for part in document.parts:
        if part.title:
            made.add_heading(part.title, 2)
        match part:
            case Words(paragraphs):
                for text in paragraphs:
                    made.add_paragraph(text)
            case Facts(lines):
                _table(made, [], lines)
            case Grid(columns, rows):
                _table(made, columns, rows)
        made.add_paragraph()
    for line in document.closing:
        made.add_paragraph(line).alignment = WD_ALIGN_PARAGRAPH.RIGHT
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def _table(document: Any, columns: Any, rows: Any) -> None:
    lines = [*([columns] if columns else []), *rows]
    if not lines:
        return
    table = document.add_table(rows=0, cols=len(lines[0]), style="Table Grid")
    for line in lines:
        # `row.cells` walks the whole table each time: a sheet of a hundred rows would take minutes.
        for cell, text in zip(table.add_row().cells, line, strict=True):
            cell.text = text


def _workbook(document: Document) -> bytes:
    """Each table is a sheet of its own, all else stands on the first one."""
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "border": 1})
    plain = book.add_format({"text_wrap": True, "valign": "top", "border": 1})
    taken: set[str] = set()
    front = book.add_worksheet(_sheet_name(document.heading, taken))
    texts: list[tuple[str, ...]] = [(document.heading,), *((note,) for note in document.notes)]
    for part in document.parts:
        match part:
            case Words(paragraphs, title):
                texts += [(title,)] if title else []
                texts += [(text,) for text in paragraphs]
            case Facts(lines, title):
                texts += [(title,)] if title else []
                texts += lines
            case Grid(columns, rows, title):
                sheet = book.add_worksheet(_sheet_name(title or document.heading, taken))
                sheet.freeze_panes(1, 0)
                sheet.set_column(0, len(columns), 14)
                _cells(sheet, 0, columns, bold)
                for at, row in enumerate(rows, 1):
                    _cells(sheet, at, row, plain)
    front.set_column(0, 1, 40)
    for at, line in enumerate([*texts, *((line,) for line in document.closing)]):
        _cells(front, at, line, bold if at == 0 else plain)
    book.close()
    return out.getvalue()


def _cells(sheet: Any, row: int, texts: Any, style: Any) -> None:
    for column, text in enumerate(texts):
        sheet.write_string(row, column, text, style)


def _sheet_name(wish: str, taken: set[str]) -> str:
    clean = "".join("·" if char in "[]:*?/\\" else char for char in wish).strip("'")[:SHEET_NAME] or "表"
    name, number = clean, 2
    while name in taken:
        name, number = f"{clean[: SHEET_NAME - 3]} {number}", number + 1
    taken.add(name)
    return name
