"""A version on paper: PDF by typst with the font embedded, and Word. Both print the same rows.

A follow-up prints what changed first, with the reasons. Times are those of China on the 24-hour clock.
"""

import asyncio
import io
import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from gateway.reports import phrases
from gateway.reports.deadlines import CHINA
from protocols.errors import NeedsFontError, NotFoundError
from protocols.report import NUMBERS, Content
from protocols.tiers import CentreTable

Lines = list[tuple[str, str]]
SYSTEM_FONTS = (
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc"),
)
TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_TEMPLATE = """
#let data = json("data.json")
#set document(title: data.heading)
#set page(paper: "a4", margin: 2cm, numbering: "1 / 1")
#set text(font: FAMILIES, size: 11pt, lang: "zh", region: "cn", fallback: false)
#align(center, text(size: 18pt, data.heading))
#for line in data.notes { align(center, text(fill: red, line)) }
#let block-of(lines) = table(columns: (4.2cm, 1fr), inset: 6pt,
  ..lines.map(l => (text(fill: luma(70), l.at(0)), l.at(1))).flatten())
#block-of(data.head)
#if data.changed.len() > 0 [ #text(size: 13pt, data.changed_title) #block-of(data.changed) ]
#block-of(data.body)
"""


class Printer:
    """Prints versions. `font` is a file with Chinese, None: Noto CJK of the system."""

    def __init__(self, font: Path | None, table: CentreTable) -> None:
        self._font = font
        self._table = table

    async def printed(self, report: Mapping[str, Any], version: int, form: Literal["pdf", "docx"]) -> tuple[bytes, str]:
        """Return one version and its media type; raises NotFoundError, NeedsFontError where no font has Chinese."""
        sheet = self.sheet(report, version)
        made = await asyncio.to_thread(self._pdf if form == "pdf" else _word, sheet)
        return made, TYPES[form]

    def sheet(self, report: Mapping[str, Any], version: int) -> dict[str, Any]:
        """Return what is printed: heading, notes, and labelled lines."""
        said = next((one for one in report["versions"] if one["version"] == version), None)
        if said is None:
            raise NotFoundError(f"report {report['serial']} has no version {version}")
        kind = phrases.KINDS[said["kind"]]
        follows = said["kind"] == "followup"
        heading = phrases.NUMBERED if follows else phrases.HEADING
        notes = [phrases.DRILL] if report["drill"] else []
        notes += [] if said["signed_at"] else [phrases.DRAFT]
        notes += [phrases.CORRECTED.format(version=said["corrects"])] if said["corrects"] else []
        content = Content.model_validate(said["content"]).model_dump(mode="json")
        lines = {
            name: self._line(name, content[name]) for name in phrases.FIELDS if content[name] not in (None, "", [])
        }
        changed = [(phrases.FIELDS[n], self._change(n, content, said["reasons"])) for n in said["changed"]]
        return {
            "heading": heading.format(kind=kind, number=said["number"]),
            "notes": notes,
            "head": self._head(report, said, kind),
            "changed_title": phrases.CHANGED,
            "changed": changed,
            "body": [(phrases.FIELDS[name], text) for name, text in lines.items()],
        }

    def _change(self, name: str, content: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
        value = content[name]
        text = phrases.UNKNOWN if value in (None, "", []) else self._line(name, value)
        return text + (f"；{phrases.REASON.format(reason=reasons[name])}" if reasons.get(name) else "")

    def _head(self, report: Mapping[str, Any], said: Mapping[str, Any], kind: str) -> Lines:
        sent = [one for one in report["deliveries"] if one["version"] == said["version"]]
        values = {
            "serial": report["serial"],
            "version": str(said["version"]),
            "kind": f"{kind}{said['number'] or ''}",
            "known_at": _time(report["known_at"]),
            "confirmed": phrases.GRADES[said["confirmed"]],
            "possible": phrases.GRADES[said["possible"]],
            "signed_by": said["signed_by"] or "",
            "signed_at": _time(said["signed_at"]),
            "to": "、".join(self._centre(one["to"]) for one in sent),
            "delivered": "、".join(_time(one["delivered_at"]) for one in sent if one["delivered_at"]),
            "acknowledged": "、".join(
                f"{one['acknowledged_by']} {_time(one['acknowledged_at'])}" for one in sent if one["acknowledged_at"]
            ),
        }
        return [(phrases.HEAD[name], text) for name, text in values.items() if text]

    def _line(self, name: str, value: Any) -> str:
        if name in NUMBERS:
            source = f"，{value['source']}" if value["source"] else ""
            return f"{value['value']}（{phrases.VERIFICATION[value['verification']]}{source}）"
        if name == "occurred_at":
            return _time(datetime.fromisoformat(value.replace("Z", "+00:00")))
        words: dict[str, Mapping[Any, str]] = {"category": phrases.CATEGORIES, "response_level": phrases.LEVELS}
        if name in words:
            return words[name][value]
        if name == "flags":
            return "、".join(phrases.FLAGS[flag] for flag in value)
        if name == "attachments":
            return "、".join(value)
        return self._centre(value) if name == "centre" else str(value)

    def _centre(self, code: str) -> str:
        return f"{self._table[code].name} {code}" if code in self._table else code

    def _pdf(self, sheet: Mapping[str, Any]) -> bytes:
        import typst

        font = self._font or next((path for path in SYSTEM_FONTS if path.is_file()), None)
        if font is None or not font.is_file():
            raise NeedsFontError(phrases.NO_FONT)
        with tempfile.TemporaryDirectory(prefix="silian-print-") as name:
            folder = Path(name)
            (folder / "fonts").mkdir()
            (folder / "fonts" / font.name).symlink_to(font.resolve())
            fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder / "fonts"])
            families = fonts.families()
            if not families:
                raise NeedsFontError(phrases.NO_FONT)
            wanted = next((one for one in families if one.endswith(("SC", "CN"))), families[0])
            (folder / "data.json").write_text(json.dumps(sheet, ensure_ascii=False), "utf-8")
            (folder / "main.typ").write_text(_TEMPLATE.replace("FAMILIES", json.dumps(wanted)), "utf-8")
            made = typst.compile(
                folder / "main.typ", root=folder, font_paths=[folder / "fonts"], ignore_system_fonts=True
            )
        return bytes(made)


def _word(sheet: Mapping[str, Any]) -> bytes:
    from docx import Document
    from docx.oxml.ns import qn

    document = Document()
    style: Any = document.styles["Normal"]
    style.font.name = "FangSong"
    style.element.rPr.rFonts.set(qn("w:eastAsia"), "仿宋")
    document.add_heading(sheet["heading"], 1)
    for note in sheet["notes"]:
        document.add_paragraph(note)
    _table(document, sheet["head"])
    if sheet["changed"]:
        document.add_heading(sheet["changed_title"], 2)
        _table(document, sheet["changed"])
    document.add_paragraph()
    _table(document, sheet["body"])
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _table(document: Any, lines: Lines) -> None:
    table = document.add_table(rows=0, cols=2, style="Table Grid")
    for label, text in lines:
        cells = table.add_row().cells
        cells[0].text, cells[1].text = label, text


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
