"""The event envelope: CloudEvents 1.0 in structured JSON, and the hop record around it.

Two identities. The *event* identity (`source`, `id`) stays the same over all hops and is unique in every store;
`origincounter` orders the events of one source. The *hop* identity (sending node, epoch, lane, seq) is new on each
link and lives in `Record` and `Frame`: it alone drives window, receipts, dedupe and gaps.

**Unknown types and unknown fields are stored and forwarded**: an old county must not strip a new province's fields.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.errors import BadSchemaError, TooLargeError
from protocols.ids import NodeId, Ulid

TYPE_ROOT = "cn.silian"
BATCH_RECORDS = 64
BATCH_BYTES = 64 * 1024
EVENT_BYTES = 48 * 1024
"""Largest single event in bytes of JSON: a batch of one with its hops must fit 64 KiB."""


class Lane(StrEnum):
    """Queues of one link, in order of priority; a backlog in one never delays another."""

    URGENT = "urgent"  # severity 1-2, orders, commands and their replies
    LIVE = "live"  # everything else that is new
    BACKFILL = "backfill"  # what an outage left behind
    TELEMETRY = "telemetry"  # latest only, never queued


DURABLE_LANES = (Lane.URGENT, Lane.LIVE, Lane.BACKFILL)


class Event(BaseModel):
    """One CloudEvents 1.0 event. Extension attributes are lower-case, as the standard asks (section 3.1)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"] = "1.0"
    id: Ulid
    source: NodeId
    type: str = Field(min_length=1, max_length=128)
    time: AwareDatetime
    subject: str | None = Field(default=None, max_length=256)
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any] = Field(default_factory=dict)
    origincounter: int = Field(ge=0)
    drill: bool = False
    traceparent: str | None = Field(default=None, max_length=64)


class Hop(BaseModel):
    """One arrival of a record: which node stored it, and when by that node's clock."""

    model_config = ConfigDict(frozen=True, extra="allow")

    node: NodeId
    at: AwareDatetime


class Record(BaseModel):
    """An event on one link: the hop's `seq` and the arrivals so far."""

    model_config = ConfigDict(frozen=True, extra="allow")

    seq: int = Field(ge=1)
    event: Event
    hops: tuple[Hop, ...] = ()


def parse_event(raw: str | bytes) -> Event:
    """Parse one structured-mode CloudEvent; raises BadSchemaError or TooLargeError."""
    if len(raw) > EVENT_BYTES:
        raise TooLargeError(f"event has {len(raw)} bytes, the limit is {EVENT_BYTES}; split or shorten it")
    try:
        return Event.model_validate_json(raw)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def first_fault(error: ValidationError) -> str:
    """Say the first fault of a validation in one line, with the path to the field and without its value."""
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"]) or "body"
    return f"{where}: {fault['msg']}"


def event_type(*words: str, version: int = 1) -> str:
    """Build an event type such as `cn.silian.alarm.raised.v1`."""
    return f"{TYPE_ROOT}.{'.'.join(words)}.v{version}"


class EventFactory:
    """Mints events of one source: ids and a strictly rising origin counter.

    The counter must be continued from the highest stored one after a restart (`next_counter`); the caller supplies
    time and randomness, so the class stays pure.
    """

    def __init__(self, source: str, next_counter: int) -> None:
        self.source = source
        self.next_counter = next_counter

    def mint(
        self,
        type_: str,
        data: dict[str, Any],
        *,
        now: datetime,
        ulid: str,
        subject: str | None = None,
        drill: bool = False,
        traceparent: str | None = None,
    ) -> Event:
        """Return a new event and advance the counter."""
        event = Event(
            id=ulid,
            source=self.source,
            type=type_,
            time=now,
            subject=subject,
            data=data,
            origincounter=self.next_counter,
            drill=drill,
            traceparent=traceparent,
        )
        self.next_counter += 1
        return event
