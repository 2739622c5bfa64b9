from dataclasses import replace

import pytest

from gateway.audit.machine import GENESIS, Record, digest, verify


def chain(length):
    records, head = [], GENESIS
    for seq in range(1, length + 1):
        record = Record(seq, seq * 1000, "王值班", "POST /api/v1/x", f"/api/v1/x/{seq}", 200, "127.0.0.1", head)
        record = replace(record, hash=digest(record))
        records.append(record)
        head = record.hash
    return records


def test_a_whole_chain_is_whole():
    records = chain(5)
    verdict = verify(records)
    assert (verdict.fault, verdict.records, verdict.head) == (None, 5, records[-1].hash)
    assert verify([]).fault is None


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "somebody else"},
        {"outcome": 403},
        {"at_us": 1},
        {"target": "/api/v1/y"},
        {"address": ""},
        {"action": "GET /"},
    ],
)
def test_a_changed_record_is_found(change):
    records = chain(5)
    records[2] = replace(records[2], **change)
    assert "record 3 was changed" in verify(records).fault


def test_a_changed_record_with_a_new_hash_breaks_the_next():
    records = chain(5)
    forged = replace(records[2], actor="nobody")
    records[2] = replace(forged, hash=digest(forged))
    assert "record 4 does not follow" in verify(records).fault


def test_removed_exchanged_and_inserted_records_are_found():
    records = chain(5)
    assert "record 3 is missing" in verify(records[:2] + records[3:]).fault
    assert "record 1 is missing" in verify(records[1:]).fault
    assert verify([records[1], records[0], *records[2:]]).fault
    assert verify([*records[:2], records[1], *records[2:]]).fault
