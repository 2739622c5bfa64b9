"""Payloads of escalations and reopenings."""

from datetime import UTC, datetime

import pytest

from protocols.envelope import Event
from protocols.errors import BadSchemaError
from protocols.escalation import DOWNWARD, ESCALATED, REOPENED, escalated_data, reopened_data

AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
ALARM = {"alarm_source": "320623-box", "alarm_key": "gas-1/high", "centre": "320623", "at": AT.isoformat(), "upto": 7}


def event(type_: str, **more: object) -> Event:
    id_ = "01JDDDDDDDDDDDDDDDDDDDDDDD"
    return Event(id=id_, source="320623", type=type_, time=AT, data={**ALARM, **more}, origincounter=1)


def test_an_escalation_names_who_hands_to_whom_and_why() -> None:
    told = escalated_data(event(ESCALATED, to="320600", by="chain", why="no acknowledgement"))
    assert (told.centre, told.to, told.at, told.upto) == ("320623", "320600", AT, 7)
    with pytest.raises(BadSchemaError, match="why"):
        escalated_data(event(ESCALATED, to="320600", by="chain"))


def test_a_reopening_says_up_to_when_acknowledgements_are_void() -> None:
    assert reopened_data(event(REOPENED)).at == AT
    with pytest.raises(BadSchemaError, match="alarm_key"):
        reopened_data(event(REOPENED, alarm_key=""))


def test_escalations_go_up_only() -> None:
    assert ESCALATED not in DOWNWARD
    assert REOPENED in DOWNWARD
