from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from protocols.alarm import CLEARED, RAISED, SensorReport, alarm_data, lane_for
from protocols.envelope import EventFactory, Lane
from protocols.errors import BadSchemaError
from protocols.ids import ulid

NOW = datetime(2026, 11, 23, tzinfo=UTC)
REPORT = {"alarm_key": "gas-1/high", "sensor": "gas-1", "severity": 1, "headline": "可燃气体浓度高"}


def test_a_report_becomes_a_raise_of_its_centre():
    kind, data = SensorReport.model_validate(REPORT).type_and_data("320623", NOW)
    event = EventFactory("320623-box", 1).mint(kind, data, now=NOW, ulid=ulid(1, bytes(10)))
    assert kind == RAISED
    assert alarm_data(event).centre == "320623"
    assert alarm_data(event).observed_at == NOW


def test_a_report_may_clear():
    kind, _ = SensorReport.model_validate(REPORT | {"condition": "cleared"}).type_and_data("320623", NOW)
    assert kind == CLEARED


@pytest.mark.parametrize(
    "bad", [{"severity": 0}, {"severity": 5}, {"headline": ""}, {"colour": "red"}, {"alarm_key": "x" * 129}]
)
def test_bad_reports_are_refused(bad):
    with pytest.raises(ValidationError):
        SensorReport.model_validate(REPORT | bad)


def test_a_foreign_payload_is_named():
    event = EventFactory("320623-box", 1).mint(RAISED, {"alarm_key": "k"}, now=NOW, ulid=ulid(1, bytes(10)))
    with pytest.raises(BadSchemaError, match="centre"):
        alarm_data(event)


def test_red_and_orange_are_urgent():
    assert [lane_for(s) for s in (1, 2, 3, 4)] == [Lane.URGENT, Lane.URGENT, Lane.LIVE, Lane.LIVE]
