"""What crosses one link: frames of records one way, receipts the other way. The same upward and downward.

`protocols.sender` decides what to send and when to send it again, `protocols.receiver` decides what is new. **A record
is forgotten by its sender only after a receipt for it; a receipt goes out only after the receiver's commit.**
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.envelope import BATCH_BYTES, BATCH_RECORDS, EVENT_BYTES, Lane, Record, first_fault
from protocols.errors import BadSchemaError, TooLargeError
from protocols.ids import NodeId, Ulid
from protocols.ranges import Ranges

FRAME_BYTES = 1024 * 1024
"""A payload above this is not read at all; one above twice BATCH_BYTES is read to refuse its records by name."""
Pair = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class VoidRange(BaseModel):
    """Numbers that carry no record any more.

    `by` is the surviving record; 0: the record was refused and lies in the sender's quarantine; None: the sender no
    longer holds it, a gap that the receiver reports by name.
    """

    model_config = ConfigDict(frozen=True)

    first: int = Field(ge=1)
    last: int = Field(ge=1)
    by: int | None = None


class Refusal(BaseModel):
    """One record that the receiver will not take; `code` is from `protocols.errors`. It goes to quarantine."""

    model_config = ConfigDict(frozen=True)

    seq: int = Field(ge=1)
    code: str = Field(max_length=64)
    detail: str = Field(default="", max_length=1000)


class Frame(BaseModel):
    """A batch of one lane. `faults` are records that did not fit their schema: the receiver refuses them by number.

    With `ask` the receiver answers with a receipt even if there is nothing new ("what have you got").
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    node: NodeId
    epoch: Ulid
    lane: Lane
    records: tuple[Record, ...] = ()
    voids: tuple[VoidRange, ...] = ()
    ask: bool = False
    faults: tuple[Refusal, ...] = Field(default=(), exclude=True)


class Receipt(BaseModel):
    """What the receiver `node` holds of (`epoch`, `lane`), committed.

    `stored` lists every held number from `floor` on, void ones included; `high` is the greatest of them.
    `store_epoch` is new whenever the receiver's store is created. `session` and `number` order the receipts of one
    run of the receiver, so that a late one is known as such; the link's shell fills them in. `ask`: there is a gap,
    send what `stored` lacks now. On the telemetry lane a receipt only says "I hear you" (`high` = heartbeat number).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    node: NodeId
    epoch: Ulid
    lane: Lane
    stored: tuple[Pair, ...] = ()
    refused: tuple[Refusal, ...] = ()
    high: int = Field(default=0, ge=0)
    store_epoch: Ulid
    at: AwareDatetime
    floor: int = Field(default=1, ge=1)
    session: Ulid | None = None
    number: int = Field(default=0, ge=0)
    ask: bool = False

    def ranges(self) -> Ranges:
        """Return `stored` as a set."""
        return Ranges(self.stored)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing owed to the peer: the JSON of a `Record`, or of the `VoidRange` that took the place of records."""

    first: int
    last: int
    body: str
    void: bool = False


def record_parcel(seq: int, event_json: str, hops_json: str = "[]") -> Parcel:
    """Wrap a stored event and its hops (both JSON texts) for the wire without parsing them."""
    return Parcel(seq, seq, f'{{"seq":{seq},"event":{event_json},"hops":{hops_json}}}')


def void_parcel(void: VoidRange) -> Parcel:
    """Wrap a void range for the wire."""
    return Parcel(void.first, void.last, void.model_dump_json(), void=True)


@dataclass(frozen=True, slots=True)
class Packed:
    """The bytes of one frame and the numbers that it carries."""

    payload: bytes
    seqs: tuple[int, ...]


def pack(node: str, epoch: str, lane: Lane, parcels: Iterable[Parcel], *, ask: bool = False) -> Iterator[Packed]:
    """Yield frames of at most 64 parcels or 64 KiB each, in order; with `ask`, at least one (empty) frame.

    `seqs` holds the first number of each parcel.
    """
    batch: list[Parcel] = []
    size = 0
    for parcel in parcels:
        weight = len(parcel.body.encode()) + 1
        if batch and (len(batch) >= BATCH_RECORDS or size + weight > BATCH_BYTES):
            yield _packed(node, epoch, lane, batch, ask=ask)
            batch, size, ask = [], 0, False
        batch.append(parcel)
        size += weight
    if batch or ask:
        yield _packed(node, epoch, lane, batch, ask=ask)


def _packed(node: str, epoch: str, lane: Lane, batch: list[Parcel], *, ask: bool) -> Packed:
    records = ",".join(parcel.body for parcel in batch if not parcel.void)
    voids = ",".join(parcel.body for parcel in batch if parcel.void)
    text = (
        f'{{"v":1,"node":"{node}","epoch":"{epoch}","lane":"{lane}","records":[{records}],"voids":[{voids}],'
        f'"ask":{"true" if ask else "false"}}}'
    )
    return Packed(text.encode(), tuple(parcel.first for parcel in batch))


def parse_frame(raw: bytes) -> Frame:
    """Read a frame; records that do not fit land in `faults` by number and never spoil their neighbours.

    Raises TooLargeError above FRAME_BYTES and BadSchemaError when the frame itself cannot be read: then no number is
    known and nothing can be refused by name, so the caller counts and logs it.
    """
    if len(raw) > FRAME_BYTES:
        raise TooLargeError(f"frame has {len(raw)} bytes, the limit is {FRAME_BYTES}")
    try:
        frame = Frame.model_validate_json(raw)
    except ValidationError as error:
        return _salvage(raw, error)
    return _refuse_oversize(frame, raw)


def parse_receipt(raw: bytes) -> Receipt:
    """Read a receipt; raises BadSchemaError or TooLargeError."""
    if len(raw) > FRAME_BYTES:
        raise TooLargeError(f"receipt has {len(raw)} bytes, the limit is {FRAME_BYTES}")
    try:
        return Receipt.model_validate_json(raw)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def _refuse_oversize(frame: Frame, raw: bytes) -> Frame:
    if len(raw) <= EVENT_BYTES:
        return frame
    kept, faults = [], list(frame.faults)
    whole = len(raw) > 2 * BATCH_BYTES or len(frame.records) > BATCH_RECORDS
    for record in frame.records:
        if whole or len(record.event.model_dump_json()) > EVENT_BYTES:
            detail = f"frame over {BATCH_RECORDS} records or {BATCH_BYTES} bytes" if whole else "event over 48 KiB"
            faults.append(Refusal(seq=record.seq, code=TooLargeError.code, detail=detail))
        else:
            kept.append(record)
    return frame.model_copy(update={"records": tuple(kept), "faults": tuple(faults)})


def _salvage(raw: bytes, error: ValidationError) -> Frame:
    """Read the frame record by record, because at least one of them is bad."""
    try:
        body = json.loads(raw)
        entries: list[Any] = list(body.pop("records", ()))
        frame = Frame.model_validate({**body, "records": ()})
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise BadSchemaError(first_fault(error)) from None
    kept, faults = [], []
    for entry in entries:
        try:
            kept.append(Record.model_validate(entry))
        except ValidationError as fault:
            seq = entry.get("seq") if isinstance(entry, dict) else None
            if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
                raise BadSchemaError(f"a record without a number: {first_fault(fault)}") from None
            faults.append(Refusal(seq=seq, code=BadSchemaError.code, detail=first_fault(fault)[:1000]))
    return _refuse_oversize(frame.model_copy(update={"records": tuple(kept), "faults": tuple(faults)}), raw)
