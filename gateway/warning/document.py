"""Writing CAP 1.2 documents with the fields of the Chinese profile, each checked against the standard's structure.

Identifier: six digits of the division, eight of the sender, `_`, Beijing time to the second, `_`, one digit; 31
characters (GB/T 35965 as seen in public samples). All times are `+08:00`. Colours I to IV stand as CAP severity
(Extreme, Severe, Moderate, Minor), in the headline, and as the parameter `ColorCode`. A drill is `Exercise` with the
scope `Restricted`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from protocols.alarm import Severity
from protocols.cap import CapStatus, CapType
from protocols.errors import BadSchemaError
from protocols.warning import WarningContent

if TYPE_CHECKING:
    from lxml.etree import XMLSchema
    from lxml.etree import _Element as Element

CHINA: Final = ZoneInfo("Asia/Shanghai")
NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
DRILL: Final = "【演练】"
SEVERITIES: Final = {
    Severity.RED: "Extreme",
    Severity.ORANGE: "Severe",
    Severity.YELLOW: "Moderate",
    Severity.BLUE: "Minor",
}
COLOUR_CODES: Final = {
    Severity.RED: "Red",
    Severity.ORANGE: "Orange",
    Severity.YELLOW: "Yellow",
    Severity.BLUE: "Blue",
}
_CATEGORIES: Final = (
    ("11B", "Met"),
    ("11E", "Met"),
    ("11C", "Geo"),
    ("11D", "Geo"),
    ("12", "Safety"),
    ("13", "Health"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """What a document says. `references` are (sender, identifier, sent) of what it updates or cancels."""

    identifier: str
    sender: str
    unit: str
    sent: datetime
    type: CapType
    drill: bool
    content: WarningContent
    references: tuple[tuple[str, str, datetime], ...] = ()
    note: str = ""


def identifier_of(sender: str, sent: datetime, number: int) -> str:
    """Name a message: `sender` has 14 digits, `number` tells messages of one second apart."""
    return f"{sender}_{sent.astimezone(CHINA):%Y%m%d%H%M%S}_{number % 10}"


def write(message: Message) -> bytes:
    """Return the document; raises BadSchemaError where it would not be CAP 1.2."""
    from lxml import etree

    root = etree.Element(f"{{{NAMESPACE}}}alert", nsmap={None: NAMESPACE})  # type: ignore[dict-item]  # the default namespace has no name
    status = CapStatus.EXERCISE if message.drill else CapStatus.ACTUAL
    said = {
        "identifier": message.identifier,
        "sender": message.sender,
        "sent": _time(message.sent),
        "status": status.value,
        "msgType": message.type.value,
        "scope": "Restricted" if message.drill else "Public",
        "restriction": "演练，不得向社会公众传播" if message.drill else "",
        "note": f"{DRILL if message.drill else ''}{message.note}",
        "references": " ".join(f"{sender},{id_},{_time(sent)}" for sender, id_, sent in message.references),
    }
    _texts(root, said)
    _info(_child(root, "info"), message)
    document: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    check(document)
    return document


def check(document: bytes) -> None:
    """Raise BadSchemaError where a document is not CAP 1.2 by structure."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True)
    try:
        tree = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise BadSchemaError(f"not XML: {error.msg}") from None
    try:
        _schema().assertValid(tree)
    except etree.DocumentInvalid as error:
        raise BadSchemaError(f"not CAP 1.2: {error}") from None


@cache
def _schema() -> "XMLSchema":
    from lxml import etree

    return etree.XMLSchema(etree.fromstring((Path(__file__).parent / "cap-1.2.xsd").read_bytes()))


def _info(info: "Element", message: Message) -> None:
    content, over = message.content, message.type is CapType.CANCEL
    drill = DRILL if message.drill else ""
    _texts(
        info,
        {
            "language": "zh-CN",
            "category": next((name for code, name in _CATEGORIES if content.event_code.startswith(code)), "Other"),
            "event": content.event,
            "responseType": "AllClear" if over else "Prepare",
            "urgency": "Past" if over else "Immediate",
            "severity": SEVERITIES[content.colour],
            "certainty": "Observed" if over else "Likely",
        },
    )
    _pair(info, "eventCode", "GB/T 35561", content.event_code)
    _texts(
        info,
        {
            "effective": _time(message.sent),
            "onset": _time(content.onset),
            "expires": _time(content.expires),
            "senderName": message.unit,
            "headline": f"{drill}{content.headline}",
            "description": f"{drill}{content.description}",
            "instruction": f"{drill}{content.instruction}",
            "contact": content.contact,
        },
    )
    _pair(info, "parameter", "ColorCode", COLOUR_CODES[content.colour])
    for area in content.areas:
        child = _child(info, "area")
        _texts(child, {"areaDesc": area.name, "polygon": area.polygon})
        for code in area.codes:
            _pair(child, "geocode", "GB/T 2260", code)


def _child(parent: "Element", name: str) -> "Element":
    from lxml import etree

    return etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")


def _texts(parent: "Element", said: dict[str, str]) -> None:
    for name, text in said.items():
        if text:
            try:
                _child(parent, name).text = text
            except ValueError:
                raise BadSchemaError(f"{name}: control characters have no place in a public text") from None


def _pair(parent: "Element", name: str, value_name: str, value: str) -> None:
    _texts(_child(parent, name), {"valueName": value_name, "value": value})


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(CHINA).isoformat(timespec="seconds")
