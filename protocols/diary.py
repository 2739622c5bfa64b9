"""What a node observed of itself, kept while nobody heard it, and told once the link is back (domain.md 3.7).

The diary is a list of *spans*: as long as nothing changes, one span grows; where the node itself was not there, a
*silence* stands between two. It is bounded: the oldest of many short spans are joined to *mixed* ones, counted. The
record of one outage is the event `node.record`; its id is fixed before it is queued, so that it arrives exactly once.
"""

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.health import HEARTBEAT_S, SILENCE_S, Verdict
from protocols.ids import CameraName, NodeId, Ulid

NODE_RECORD = event_type("node", "record")
SPANS = 200
"""Spans and silences of a diary; a record of 200 fits the largest event."""
PENDING = 20
"""Records that a diary owes at most."""
RECORD_BYTES = 40 * 1024
"""A record in JSON; an event may have 48 KiB."""
NOTICE_S = SILENCE_S + HEARTBEAT_S
"""A node notices so late that nobody hears it any more."""
PULSE_S = 15.0
"""A node that is well looks at itself at least this often; a longer pause is a silence."""
LOW_BATTERY = 0.2
"""Charge below which a machine on battery is about to lose its power."""


class Ending(StrEnum):
    """Why a node was not there."""

    STOPPED = "stopped"  # it was stopped in good order
    REBOOT = "reboot"  # the machine began anew: power, or a person
    CRASH = "crash"  # the process began anew on a machine that went on


class Observation(BaseModel):
    """One look of a node at itself. `loopback`: it reaches itself; `network`: an interface has a line."""

    model_config = ConfigDict(frozen=True, extra="allow")

    at: AwareDatetime
    boot_id: str = Field(default="", max_length=64)
    on_battery: bool | None = None
    battery_ratio: float | None = Field(default=None, ge=0, le=1)
    loopback: bool = True
    network: bool | None = None
    cameras: dict[CameraName, Verdict] = Field(default_factory=dict)


class Span(BaseModel):
    """A time in which nothing changed, or (`ending`) in which the node was not there; `mixed` joins several."""

    model_config = ConfigDict(frozen=True, extra="allow")

    began_at: AwareDatetime
    ended_at: AwareDatetime
    ending: Ending | None = None
    on_battery: bool | None = None
    battery_ratio: float | None = Field(default=None, ge=0, le=1)
    loopback: bool = True
    network: bool | None = None
    cameras: dict[CameraName, Verdict] = Field(default_factory=dict)
    mixed: bool = False


class NodeRecord(BaseModel):
    """Payload of `node.record`: what the node observed from the loss of its link to its return."""

    model_config = ConfigDict(frozen=True, extra="allow")

    node: NodeId
    began_at: AwareDatetime
    ended_at: AwareDatetime
    spans: tuple[Span, ...] = Field(default=(), max_length=SPANS)

    def within(self, began_at: datetime, ended_at: datetime) -> tuple[Span, ...]:
        """Return the spans that touch a time."""
        return tuple(span for span in self.spans if span.began_at <= ended_at and span.ended_at >= began_at)


class Pending(BaseModel):
    """A record that is owed: its event's id is fixed, so that queueing it twice is harmless."""

    model_config = ConfigDict(frozen=True)

    event_id: Ulid
    record: NodeRecord


class Book(BaseModel):
    """What a diary keeps on the disk."""

    model_config = ConfigDict(extra="ignore")

    spans: list[Span] = Field(default_factory=list)
    boot_id: str = ""
    cut_at: AwareDatetime | None = None
    stopped: bool = False
    pending: list[Pending] = Field(default_factory=list, max_length=PENDING)


class Diary:
    """Drive it with `look`, `link` and `stop`; `book` is what must be on the disk before a change counts.

    `changed` tells whether something happened since the last `saved` that must not be lost.
    """

    def __init__(self, node: str, book: Book | None = None) -> None:
        self.node = node
        self.book = book or Book()
        self.changed = False
        self.joined = 0
        """Spans that were joined to others to stay within bounds."""
        self.overtaken = 0
        """Owed records that gave way to newer ones before they could be queued."""
        self._fresh = True
        self._up = False

    def look(self, seen: Observation) -> None:
        """Take one look, in order of time."""
        book, last = self.book, self.book.spans[-1] if self.book.spans else None
        if self._fresh and last is not None:
            self._was_away(last, seen)
            last = None
        elif last is not None and (seen.at - last.ended_at).total_seconds() > 3 * PULSE_S:
            self._away(last, seen.at, Ending.CRASH)
            last = None
        self._fresh, book.stopped, book.boot_id = False, False, seen.boot_id
        if last is not None and last.ending is None and _alike(last, seen):
            ends = max(seen.at, last.began_at)
            book.spans[-1] = last.model_copy(update={"ended_at": ends, "battery_ratio": seen.battery_ratio})
            return
        self._add(_span(last.ended_at if last is not None else seen.at, seen))

    def link(self, *, up: bool, at: datetime, event_id: str) -> None:
        """Take that the link came or went; a return owes a record of the time without it under `event_id`."""
        if up and not self._up:
            began = self.book.cut_at
            if began is not None and began < at:
                # The span before tells in what state the node went.
                first = next((n for n, span in enumerate(self.book.spans) if span.ended_at >= began), 0)
                record = _fitting(self.node, began, at, self.book.spans[max(0, first - 1) :])
                # Where the link never holds for long, the oldest outages give way to the newest ones.
                owed = [*self.book.pending, Pending(event_id=event_id, record=record)]
                self.overtaken += max(0, len(owed) - PENDING)
                self.book.pending = owed[-PENDING:]
            self.book.cut_at, self.changed = None, True
        elif not up and self._up:
            self.book.cut_at, self.changed = at - timedelta(seconds=NOTICE_S), True
        self._up = up

    def stop(self, at: datetime) -> None:
        """Note that the node is stopped in good order."""
        self.book.stopped, self.changed = True, True
        if self.book.cut_at is None:
            self.book.cut_at = at

    def settled(self, event_id: str) -> None:
        """Take that an owed record is queued."""
        self.book.pending = [one for one in self.book.pending if one.event_id != event_id]
        self.changed = True

    def saved(self) -> None:
        """Take that the book is on the disk."""
        self.changed = False

    def _was_away(self, last: Span, seen: Observation) -> None:
        reboot = Ending.REBOOT if seen.boot_id != self.book.boot_id else Ending.CRASH
        self._away(last, seen.at, Ending.STOPPED if self.book.stopped else reboot)

    def _away(self, last: Span, until: datetime, ending: Ending) -> None:
        # A clock that went back while the node was away must not make a silence end before it began.
        self._add(Span(began_at=last.ended_at, ended_at=max(until, last.ended_at), ending=ending))
        # A node that lost its power did not see its link go: its silence is what nobody heard.
        self.book.cut_at = self.book.cut_at or last.ended_at

    def _add(self, span: Span) -> None:
        self.changed = True
        self.book.spans.append(span)
        while len(self.book.spans) > SPANS:
            first, second, *rest = self.book.spans
            self.joined += 1
            joined = second.model_copy(update={"began_at": first.began_at, "mixed": True})
            self.book.spans = [joined, *rest]


def _alike(span: Span, seen: Observation) -> bool:
    about = (span.on_battery, span.loopback, span.network, span.cameras, _low(span.battery_ratio))
    return about == (seen.on_battery, seen.loopback, seen.network, seen.cameras, _low(seen.battery_ratio))


def _low(ratio: float | None) -> bool:
    return ratio is not None and ratio < LOW_BATTERY


def _span(began: datetime, seen: Observation) -> Span:
    return Span(
        began_at=min(began, seen.at),
        ended_at=seen.at,
        on_battery=seen.on_battery,
        battery_ratio=seen.battery_ratio,
        loopback=seen.loopback,
        network=seen.network,
        cameras=seen.cameras,
    )


def node_record(event: Event) -> NodeRecord:
    """Read the payload of `node.record`; raises BadSchemaError."""
    try:
        record = NodeRecord.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
    if record.node != event.source:
        raise BadSchemaError(f"node: the record of {record.node} comes from {event.source}")
    return record


def _fitting(node: str, began: datetime, ended: datetime, spans: list[Span]) -> NodeRecord:
    """Return a record that fits one event: the oldest spans are joined until it does."""
    record = NodeRecord(node=node, began_at=began, ended_at=ended, spans=tuple(spans))
    while len(json.dumps(dump(record))) > RECORD_BYTES and len(spans) > 1:
        gone, spans = spans[: len(spans) // 4 + 1], spans[len(spans) // 4 + 1 :] or spans[-1:]
        spans[0] = spans[0].model_copy(update={"began_at": gone[0].began_at, "mixed": True})
        record = NodeRecord(node=node, began_at=began, ended_at=ended, spans=tuple(spans))
    return record


def dump(record: NodeRecord) -> dict[str, Any]:
    """Return the payload."""
    return record.model_dump(mode="json", exclude_defaults=True)
