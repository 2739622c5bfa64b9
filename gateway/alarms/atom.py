"""Reading Atom feeds (RFC 4287) of CAP messages: entries that hold the message, or say where it is.

The same rules as for CAP hold: no entity is expanded, nothing is fetched by the reader.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from gateway.alarms.cap import NAMESPACES, root_of
from protocols.errors import BadSchemaError

if TYPE_CHECKING:
    from datetime import datetime

    from lxml.etree import _Element as Element

MAX_ENTRIES = 500
CAP_TYPE = "application/cap+xml"
_ATOM = "{http://www.w3.org/2005/Atom}"
_ALERTS = tuple(f"{{{namespace}}}alert" for namespace in NAMESPACES)
_TIME = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: `document` is the message where the entry holds it, else `link` says where it is."""

    id: str
    updated: str
    document: bytes | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed said. `entries` stand in the order in which they were written, the oldest first; `cut`: left out."""

    updated: "datetime | None"
    entries: tuple[Entry, ...]
    cut: int = 0


def read_feed(xml: bytes, url: str) -> Feed:
    """Read a feed that came from `url`; a bare CAP message there counts as a feed of one.

    Raises BadInputError (no XML, or a DTD) and BadSchemaError (XML of another kind).
    """
    root = root_of(xml)
    if root.tag in _ALERTS:
        return Feed(None, (Entry(url, "", document=xml),))
    if root.tag != f"{_ATOM}feed":
        raise BadSchemaError("neither an Atom feed nor a CAP message stands at this address")
    found = [_entry(entry, url) for entry in root.findall(f"{_ATOM}entry")]
    found.sort(key=lambda entry: _moment(entry.updated))
    return Feed(_time(_text(root, "updated")), tuple(found[-MAX_ENTRIES:]), max(0, len(found) - MAX_ENTRIES))


def _entry(entry: "Element", url: str) -> Entry:
    from lxml import etree

    held = next((child for tag in _ALERTS for child in entry.iterfind(f"{_ATOM}content/{tag}")), None)
    id_, updated = _text(entry, "id"), _text(entry, "updated")
    if held is not None:
        return Entry(id_, updated, document=etree.tostring(held, with_tail=False))
    links = [link for link in entry.findall(f"{_ATOM}link") if link.get("rel", "alternate") == "alternate"]
    content = entry.find(f"{_ATOM}content[@src]")
    fitting = next((link.get("href") for link in links if link.get("type") == CAP_TYPE), None)
    first = links[0].get("href") if links else None
    where = fitting or (content.get("src") if content is not None else None) or first
    return Entry(id_ or where or "", updated, link=_joined(url, where) if where else None)


def _joined(url: str, where: str) -> str | None:
    try:
        return urljoin(url, where)
    except ValueError:
        # No address at all, such as http://[ : the entry names none.
        return None


def _text(parent: "Element", name: str) -> str:
    return (parent.findtext(_ATOM + name) or "").strip()


def _time(text: str) -> "datetime | None":
    try:
        return _TIME.validate_python(text)
    except ValidationError:
        return None


def _moment(text: str) -> float:
    at = _time(text)
    return at.timestamp() if at is not None else 0.0
