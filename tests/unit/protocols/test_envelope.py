from datetime import UTC, datetime

import pytest

from protocols.envelope import EVENT_BYTES, EventFactory, parse_event
from protocols.errors import BadSchemaError, TooLargeError
from protocols.ids import ulid

NOW = datetime(2026, 11, 23, 1, 5, 7, tzinfo=UTC)


def mint(counter=7, **data):
    return EventFactory("320623-box", counter).mint("cn.silian.alarm.raised.v1", data, now=NOW, ulid=ulid(0, bytes(10)))


def test_an_event_survives_the_wire():
    event = mint(text="如东", n=1)
    assert parse_event(event.model_dump_json()) == event


def test_the_counter_rises_by_one():
    factory = EventFactory("320623-box", 5)
    counters = [factory.mint("t", {}, now=NOW, ulid=ulid(n, bytes(10))).origincounter for n in range(3)]
    assert counters == [5, 6, 7]


def test_unknown_fields_are_kept_and_forwarded():
    raw = mint().model_dump_json()[:-1] + ',"newprovincefield":{"a":1}}'
    assert '"newprovincefield":{"a":1}' in parse_event(raw).model_dump_json()


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"specversion":"1.0"}', b"\xff\xfe"])
def test_malformed_json_is_named(raw):
    with pytest.raises(BadSchemaError):
        parse_event(raw)


def test_a_time_without_zone_is_refused():
    raw = mint().model_dump_json().replace("2026-11-23T01:05:07Z", "2026-11-23T01:05:07")
    with pytest.raises(BadSchemaError, match="time"):
        parse_event(raw)


def test_oversize_is_refused_before_parsing():
    with pytest.raises(TooLargeError):
        parse_event(b"x" * (EVENT_BYTES + 1))
