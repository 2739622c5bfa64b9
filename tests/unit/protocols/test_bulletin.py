from datetime import UTC, datetime

import pytest

from protocols.bulletin import ANSWERED, OBJECTED, answered, objected
from protocols.envelope import EventFactory
from protocols.errors import BadSchemaError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ULID = "01JB0000000000000000000000"


def event(type_, **data):
    return EventFactory("320623", 1).mint(type_, data, now=NOW, ulid=ULID)


def test_what_a_unit_says_reads_back_and_unknown_fields_stay():
    said = answered(
        event(
            ANSWERED, bulletin_id=ULID, centre="320623", version=1, answer="signed", by="王五", at=NOW.isoformat(), x=1
        )
    )
    assert (said.by, said.feedback, said.model_extra) == ("王五", "", {"x": 1})
    told = objected(
        event(
            OBJECTED,
            objection_id=ULID,
            roll_call_id=ULID,
            centre="320623",
            by="王五",
            reason="有图",
            at=NOW.isoformat(),
        )
    )
    assert told.reason == "有图"


@pytest.mark.parametrize("data", [{}, {"centre": "x"}, {"answer": "torn"}, {"at": "2026-03-01T00:00:00"}])
def test_nonsense_is_named(data):
    for type_, read in ((ANSWERED, answered), (OBJECTED, objected)):
        with pytest.raises(BadSchemaError):
            read(event(type_, **data))
