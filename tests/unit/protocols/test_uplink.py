"""Frames and receipts on the wire: packing, reading, and bad input that never spoils its neighbours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.envelope import BATCH_BYTES, BATCH_RECORDS, Lane
from protocols.errors import BadSchemaError, SilianError, TooLargeError
from protocols.uplink import (
    FRAME_BYTES,
    Frame,
    Receipt,
    VoidRange,
    pack,
    parse_frame,
    parse_receipt,
    record_parcel,
    void_parcel,
)
from tests.support.events import NODE, alarm

EPOCH = "01JGFJJZ000000000000000001"


def parcels(count, pad=0):
    return [record_parcel(n, alarm(n, pad=pad).model_dump_json()) for n in range(1, count + 1)]


def test_pack_and_parse_round_trip():
    things = [*parcels(3), void_parcel(VoidRange(first=4, last=9, by=10)), void_parcel(VoidRange(first=11, last=11))]
    (packed,) = pack(NODE, EPOCH, Lane.LIVE, things, ask=True)
    assert packed.seqs == (1, 2, 3, 4, 11)
    frame = parse_frame(packed.payload)
    assert [one.seq for one in frame.records] == [1, 2, 3]
    assert frame.voids == (VoidRange(first=4, last=9, by=10), VoidRange(first=11, last=11))
    assert frame.ask
    assert not frame.faults


@given(st.lists(st.integers(0, 3000), min_size=0, max_size=200))
def test_frames_keep_to_both_limits_and_to_the_order(sizes):
    things = [record_parcel(n, json.dumps("x" * size)) for n, size in enumerate(sizes, 1)]
    packed = list(pack(NODE, EPOCH, Lane.LIVE, things))
    assert [seq for one in packed for seq in one.seqs] == list(range(1, len(sizes) + 1))
    for one in packed:
        assert len(one.seqs) <= BATCH_RECORDS
        assert len(one.payload) <= BATCH_BYTES + 1024


def test_a_question_is_an_empty_frame():
    (question,) = pack(NODE, EPOCH, Lane.LIVE, (), ask=True)
    assert parse_frame(question.payload).ask
    assert list(pack(NODE, EPOCH, Lane.LIVE, ())) == []


def test_one_bad_record_is_refused_by_number_and_the_others_live():
    good = json.loads(alarm(1).model_dump_json())
    bad = {**good, "id": "not a ulid"}
    frame = {
        "node": NODE,
        "epoch": EPOCH,
        "lane": "live",
        "records": [{"seq": 1, "event": good}, {"seq": 2, "event": bad}, {"seq": 3, "event": good}],
    }
    read = parse_frame(json.dumps(frame).encode())
    assert [one.seq for one in read.records] == [1, 3]
    assert [(one.seq, one.code) for one in read.faults] == [(2, "bad_schema")]
    assert "id" in read.faults[0].detail


def test_an_oversize_event_is_refused_by_number():
    big = alarm(2).model_copy(update={"data": {"x": "y" * 50_000}})
    things = [*parcels(1), record_parcel(2, big.model_dump_json())]
    frames = [parse_frame(one.payload) for one in pack(NODE, EPOCH, Lane.LIVE, things)]
    assert [one.seq for frame in frames for one in frame.records] == [1]
    assert [(one.seq, one.code) for frame in frames for one in frame.faults] == [(2, "too_large")]


def test_an_oversize_frame_refuses_all_its_records():
    body = ",".join(one.body for one in parcels(BATCH_RECORDS + 1))
    raw = f'{{"node":"{NODE}","epoch":"{EPOCH}","lane":"live","records":[{body}]}}'.encode()
    if len(raw) <= 48 * 1024:
        raw += b" " * (48 * 1024)
    read = parse_frame(raw)
    assert not read.records
    assert len(read.faults) == BATCH_RECORDS + 1
    with pytest.raises(TooLargeError):
        parse_frame(b"x" * (FRAME_BYTES + 1))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"records":5}', b'{"v":2}', b'{"records":[{"seq":"a"}]}', b"[" * 50_000],
)
def test_nonsense_is_a_named_error(raw):
    with pytest.raises(BadSchemaError):
        parse_frame(raw)
    with pytest.raises(BadSchemaError):
        parse_receipt(raw)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_named_error(raw):
    for read in (parse_frame, parse_receipt):
        try:
            read(raw)
        except SilianError:
            continue


def test_unknown_fields_of_records_are_kept():
    event = json.loads(alarm(1).model_dump_json())
    event["newextension"] = 7
    raw = {"node": NODE, "epoch": EPOCH, "lane": "live", "records": [{"seq": 1, "event": event, "x": 1}], "new": 2}
    (record,) = parse_frame(json.dumps(raw).encode()).records
    assert json.loads(record.event.model_dump_json())["newextension"] == 7


def test_receipt_round_trip():
    receipt = Receipt(
        node="320600",
        epoch=EPOCH,
        lane=Lane.LIVE,
        stored=((1, 5), (7, 7)),
        high=7,
        store_epoch=EPOCH,
        at="2026-01-01T00:00:00Z",
    )
    again = parse_receipt(receipt.model_dump_json(exclude_none=True).encode())
    assert again == receipt
    assert again.ranges().count == 6
    with pytest.raises(TooLargeError):
        parse_receipt(b"x" * (FRAME_BYTES + 1))
    assert Frame.model_fields["faults"].exclude
