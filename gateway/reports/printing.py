"""A version on paper: what it says, as a document. A follow-up prints what changed first, with the reasons.

Times are those of China on the 24-hour clock.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from gateway.ports.paper import MEDIA_TYPES, Document, Facts, Paper
from gateway.reports import phrases
from gateway.reports.deadlines import CHINA
from protocols.errors import NotFoundError
from protocols.report import NUMBERS, Content
from protocols.tiers import CentreTable

Lines = tuple[tuple[str, str], ...]


class Printer:
    """Prints versions."""

    def __init__(self, paper: Paper, table: CentreTable) -> None:
        self._paper = paper
        self._table = table

    async def printed(self, report: Mapping[str, Any], version: int, form: Literal["pdf", "docx"]) -> tuple[bytes, str]:
        """Return one version and its media type; raises NotFoundError, NeedsFontError where no font has Chinese."""
        return await self._paper.printed(self.document(report, version), form), MEDIA_TYPES[form]

    def document(self, report: Mapping[str, Any], version: int) -> Document:
        """Return what is printed: heading, notes, and labelled lines; raises NotFoundError."""
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
        parts = [Facts(self._head(report, said, kind))]
        parts += [Facts(tuple(changed), phrases.CHANGED)] if changed else []
        parts.append(Facts(tuple((phrases.FIELDS[name], text) for name, text in lines.items())))
        return Document(heading.format(kind=kind, number=said["number"]), tuple(parts), tuple(notes))

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
        return tuple((phrases.HEAD[name], text) for name, text in values.items() if text)

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


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
