"""The MQTT topic grammar: built and parsed here and nowhere else.

::

    silian/v1/{node}/up/{lane}      written by the node            records upward
    silian/v1/{node}/down/{lane}    written by its gateway         records downward (commands)
    silian/v1/{node}/rcpt/up        written by its gateway         receipts for `up`
    silian/v1/{node}/rcpt/down      written by the node            receipts for `down`
    silian/v1/{node}/state          written by the node, retained, with last will

A node may write only its own branch; the broker's access list says the same.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from protocols.envelope import Lane
from protocols.errors import BadTopicError
from protocols.ids import centre_of

ROOT = "silian/v1"
_TOPIC = re.compile(
    r"^silian/v1/(?P<node>[0-9]{6}(?:-[a-z0-9]{1,24})?)/"
    r"(?:(?P<direction>up|down)/(?P<lane>urgent|live|backfill|telemetry)|rcpt/(?P<receipt>up|down)|(?P<state>state))$"
)


class Direction(StrEnum):
    """Way of a record: `up` to the gateway above, `down` to the node below."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class RecordTopic:
    """A topic that carries records."""

    node: str
    direction: Direction
    lane: Lane


@dataclass(frozen=True, slots=True)
class ReceiptTopic:
    """A topic that carries receipts for records of `direction`."""

    node: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class StateTopic:
    """The retained presence of a node."""

    node: str


Topic = RecordTopic | ReceiptTopic | StateTopic


def records(node: str, direction: Direction, lane: Lane) -> str:
    """Return the topic for records."""
    centre_of(node)
    return f"{ROOT}/{node}/{direction}/{lane}"


def receipts(node: str, direction: Direction) -> str:
    """Return the topic for receipts of records that travel in `direction`."""
    centre_of(node)
    return f"{ROOT}/{node}/rcpt/{direction}"


def state(node: str) -> str:
    """Return the topic of the node's retained presence."""
    centre_of(node)
    return f"{ROOT}/{node}/state"


def parse(topic: str) -> Topic:
    """Parse a topic; raises BadTopicError for anything outside the grammar."""
    found = _TOPIC.fullmatch(topic)
    if found is None:
        raise BadTopicError(f"{topic!r} is outside {ROOT}; see protocols/topics.py")
    node = found["node"]
    if found["state"]:
        return StateTopic(node)
    if found["receipt"]:
        return ReceiptTopic(node, Direction(found["receipt"]))
    return RecordTopic(node, Direction(found["direction"]), Lane(found["lane"]))
