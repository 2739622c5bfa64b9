"""Reading CAP 1.2 XML. **No entity is ever expanded and no address ever fetched**: a document with a DTD is refused."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from protocols.cap import CapMessage
from protocols.envelope import first_fault
from protocols.errors import BadInputError, BadSchemaError, TooLargeError

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

MAX_BYTES = 512 * 1024
NAMESPACES = ("urn:oasis:names:tc:emergency:cap:1.2", "urn:oasis:names:tc:emergency:cap:1.1")


def parse(xml: bytes) -> CapMessage:
    """Read one `alert` element.

    Raises TooLargeError, BadInputError (no XML, or a DTD), BadSchemaError (XML that is not CAP).
    """
    if len(xml) > MAX_BYTES:
        raise TooLargeError(f"the CAP message has {len(xml)} bytes, the limit is {MAX_BYTES}")
    root = root_of(xml)
    namespace = root.tag.rpartition("}")[0].removeprefix("{")
    if root.tag.rpartition("}")[2] != "alert" or namespace not in NAMESPACES:
        raise BadSchemaError("the document element must be a CAP 1.2 alert")
    read = _Reader(namespace)
    try:
        return CapMessage.model_validate(
            {
                "identifier": read.need(root, "identifier"),
                "sender": read.need(root, "sender"),
                "sent": read.need(root, "sent"),
                "status": read.need(root, "status"),
                "type": read.need(root, "msgType"),
                "scope": read.need(root, "scope"),
                "references": [
                    dict(zip(("sender", "identifier"), part.split(","), strict=False))
                    for part in read.text(root, "references").split()
                    if part.count(",") >= 2
                ],
                "note": read.text(root, "note"),
                "infos": [_info(read, info) for info in read.all(root, "info")],
            }
        )
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def root_of(xml: bytes) -> "Element":
    """Return the document element of any XML; raises BadInputError for what is no XML, or has a document type."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as error:
        raise BadInputError(f"not XML: {error.msg}") from None
    about = root.getroottree().docinfo
    if about.internalDTD is not None or about.externalDTD is not None:
        raise BadInputError("a document with a document type (DTD, entities) is refused; send it without")
    return root


class _Reader:
    """Looks children up in the message's own namespace."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{{{namespace}}}"

    def all(self, parent: "Element", name: str) -> list["Element"]:
        """Return all children of a name."""
        return parent.findall(self._prefix + name)

    def text(self, parent: "Element", name: str) -> str:
        """Return the text of a child, "" where there is none."""
        return (parent.findtext(self._prefix + name) or "").strip()

    def need(self, parent: "Element", name: str) -> str:
        """Return the text of a child that must be there; raises BadSchemaError."""
        found = self.text(parent, name)
        if not found:
            raise BadSchemaError(f"alert.{name} is missing")
        return found

    def pairs(self, parent: "Element", name: str) -> list[tuple[str, str]]:
        """Return valueName and value of each child of a name."""
        return [(self.text(child, "valueName"), self.text(child, "value")) for child in self.all(parent, name)]


def _info(read: _Reader, info: "Element") -> dict[str, object]:
    areas = read.all(info, "area")
    codes = read.pairs(info, "eventCode")
    return {
        "language": read.text(info, "language") or "en-US",
        "event": read.need(info, "event"),
        "severity": read.need(info, "severity"),
        "headline": read.text(info, "headline"),
        "description": read.text(info, "description"),
        "instruction": read.text(info, "instruction"),
        "sender_name": read.text(info, "senderName"),
        "parameters": dict(read.pairs(info, "parameter")),
        "event_code": codes[0][1] if codes else None,
        "areas": [read.text(area, "areaDesc") for area in areas],
        "geocodes": [value for area in areas for _, value in read.pairs(area, "geocode")],
        "polygons": [(polygon.text or "").strip() for area in areas for polygon in read.all(area, "polygon")],
        "onset": read.text(info, "onset") or None,
        "expires": read.text(info, "expires") or None,
    }
