"""Foreign payloads: what a mapping makes of them, and that bad ones are named errors which lose nothing else."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sensors.mapping import load_rules, read_foreign
from edge_agent.sensors.reports import BODY_BYTES
from protocols.alarm import Condition, Severity
from protocols.errors import BadInputError, BadSchemaError, ConfigError, TooLargeError

RULES = load_rules(
    """
[[rule]]
topic = "plant/+/alarm"
when = { "data.type" = ["gas", "smoke"] }
each = "data.items"
alarm_key = "{topic.1}/{code}"
sensor = "{topic.1}"
headline = "{data.site}{name}超限 {value}{unit}"
event_type = "gas"
value = "value"
unit = "{unit}"
severity = { path = "level", map = { H = 2, HH = 1 }, otherwise = 3 }
cleared = { path = "state", values = ["0", "normal"] }
observed_at = { path = "ts", form = "unix_ms" }
[[rule]]
topic = "plant/+/alive"
sensor = "{topic.1}"
heartbeat = true
[[rule]]
topic = "flat/#"
alarm_key = "{list.1.key}"
sensor = "x"
headline = "h"
severity = { path = "level", map = { high = 2 } }
"""
)
ITEM = {"code": "A1", "name": "甲烷", "value": 31.5, "unit": "%LEL", "level": "HH", "state": 1, "ts": 1764400000000}


def message(*items, type_="gas"):
    return json.dumps({"data": {"type": type_, "site": "加气站", "items": list(items)}}).encode()


def test_each_entry_becomes_a_report():
    heard = read_foreign(RULES, "plant/tank-3/alarm", message(ITEM, ITEM | {"code": "A2", "state": 0, "level": "?"}))
    first, second = heard.reports
    assert heard.sensors == ("tank-3",)
    assert (first.alarm_key, first.sensor, first.headline) == ("tank-3/A1", "tank-3", "加气站甲烷超限 31.5%LEL")
    assert (first.severity, first.value, first.unit, first.condition) == (Severity.RED, 31.5, "%LEL", Condition.ACTIVE)
    assert first.observed_at == datetime.fromtimestamp(1764400000, UTC)
    assert (second.condition, second.severity) == (Condition.CLEARED, Severity.YELLOW)


def test_a_heartbeat_says_that_a_sensor_lives_and_nothing_else():
    heard = read_foreign(RULES, "plant/tank-3/alive", b"{}")
    assert (heard.sensors, heard.reports) == (("tank-3",), ())


def test_paths_lead_into_lists():
    body = json.dumps({"list": [{}, {"key": "k"}], "level": "high"}).encode()
    assert read_foreign(RULES, "flat/a/b", body).reports[0].alarm_key == "k"


def test_the_encoding_of_the_file_is_used():
    rules = load_rules('encoding = "gb18030"\n[[rule]]\ntopic = "#"\nalarm_key = "k"\nsensor = "s"\nheadline = "{名}"')
    assert read_foreign(rules, "a", '{"名": "水位"}'.encode("gb18030")).reports[0].headline == "水位"


@pytest.mark.parametrize(
    ("topic", "body", "said"),
    [
        ("plant/t/alarm", message(ITEM)[:-5], "not JSON"),
        ("plant/t/alarm", '{"名": 1}'.encode("gb18030"), "not JSON in utf-8"),
        ("plant/t/alarm", b"\xff\xfe\x00", "not JSON"),
        ("plant/t/alarm", b"[" * 100_000, "not JSON"),
        ("plant/t/alarm", message(ITEM, type_="other"), "no rule"),
        ("elsewhere", message(ITEM), "no rule"),
        ("plant/t/alarm/more", message(ITEM), "no rule"),
        ("plant/t/alarm", message({k: v for k, v in ITEM.items() if k != "code"}), "nothing stands at code"),
        ("plant/t/alarm", message(ITEM | {"value": "much"}), "value"),
        ("plant/t/alarm", message(ITEM | {"ts": "yesterday"}), "observed_at"),
        ("plant/t/alarm", message(*[ITEM] * 1001), "at most 1000"),
        ("flat/a", json.dumps({"list": [0, {"key": "k"}], "level": "low"}).encode(), "does not know"),
    ],
)
def test_what_does_not_fit_is_named(topic, body, said):
    with pytest.raises(BadSchemaError, match=said):
        read_foreign(RULES, topic, body)


def test_ten_megabytes_are_refused_before_they_are_read():
    with pytest.raises(TooLargeError, match=str(BODY_BYTES)):
        read_foreign(RULES, "plant/t/alarm", b"x" * 10_000_000)


@given(st.binary(max_size=200), st.sampled_from(["plant/t/alarm", "flat/x", "plant/t/alive", ""]))
def test_any_bytes_give_a_report_or_a_named_error(body, topic):
    with contextlib.suppress(BadInputError):
        read_foreign(RULES, topic, body)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rule = 1", "rule"),
        ("[[rule]", "TOML"),
        ('[[rule]]\ntopic = "a"\nsensor = "s"', "alarm_key and headline"),
        ('[[rule]]\ntopic = "a"\nsensor = "s"\nalarmkey = "x"', "alarmkey"),
        ('encoding = "klingon"\n[[rule]]\ntopic = "a"\nsensor = "s"\nheartbeat = true', "encoding"),
    ],
)
def test_a_bad_mapping_file_names_its_key(text, said):
    with pytest.raises(ConfigError, match=said):
        load_rules(text)
