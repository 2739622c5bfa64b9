"""Reading CAP: real messages of many senders, and everything that must be refused."""

from pathlib import Path

import pytest

from gateway.alarms.cap import MAX_BYTES, parse
from protocols.alarm import Severity
from protocols.cap import CapInfo, CapStatus, CapType, division_codes, severity_of
from protocols.errors import BadInputError, BadSchemaError, TooLargeError
from tests.support.shared import shared

SHARED = shared("cap")

ALERT = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>32062341600000_20261123060000</identifier><sender>32062341600000</sender>
  <sent>2026-11-23T14:00:00+08:00</sent><status>{status}</status><msgType>{type}</msgType><scope>Public</scope>
  <references>{references}</references>
  <info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency>
    <severity>Severe</severity><certainty>Likely</certainty>
    <eventCode><valueName>code</valueName><value>11B03</value></eventCode>
    <senderName>如东县气象台</senderName><headline>{headline}</headline>
    <description>预计未来3小时降雨量达50毫米以上。</description><instruction>减少外出。</instruction>
    <area><areaDesc>如东县</areaDesc>
      <geocode><valueName>GB/T 2260</valueName><value>320623000000</value></geocode></area>
  </info>
</alert>"""


def alert(**more: str) -> bytes:
    values = {"status": "Actual", "type": "Alert", "references": "", "headline": "如东县发布暴雨橙色预警"}
    return ALERT.format(**values | more).encode()


def test_a_chinese_warning_is_read_whole() -> None:
    message = parse(alert())
    assert (message.status, message.type, message.drill) == (CapStatus.ACTUAL, CapType.ALERT, False)
    info = message.info
    assert info is not None
    assert (info.event, info.event_code, info.areas) == ("暴雨", "11B03", ("如东县",))
    assert severity_of(info) is Severity.ORANGE
    assert division_codes(info) == ("320623",)


def test_an_exercise_is_a_drill_for_ever() -> None:
    assert parse(alert(status="Exercise")).drill


def test_references_are_read() -> None:
    (reference,) = parse(alert(type="Update", references="a@b,id-1,2026-11-23T14:00:00+08:00")).references
    assert (reference.sender, reference.identifier) == ("a@b", "id-1")


@pytest.mark.parametrize(
    ("headline", "parameters", "severity", "level"),
    [
        ("如东县发布大雾红色预警", {}, "Minor", Severity.RED),
        ("大雾预警", {"ColorCode": "Yellow"}, "Extreme", Severity.YELLOW),
        ("Storm", {}, "Extreme", Severity.RED),
        ("Storm", {}, "Severe", Severity.ORANGE),
        ("Storm", {}, "Moderate", Severity.YELLOW),
        ("Storm", {}, "Minor", Severity.BLUE),
        ("Storm", {}, "Unknown", Severity.BLUE),
    ],
)
def test_the_colour_decides_then_the_severity(headline, parameters, severity, level) -> None:
    info = CapInfo(event="x", severity=severity, headline=headline, parameters=parameters)
    assert severity_of(info) is level


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadInputError),
        (b"<alert", BadInputError),
        (b"\xff\xfe\x00", BadInputError),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'/>", BadSchemaError),
        (b"<alert/>", BadSchemaError),
        (alert().replace(b"<sent>2026-11-23T14:00:00+08:00</sent>", b"<sent>yesterday</sent>"), BadSchemaError),
        (alert().replace(b"+08:00</sent>", b"</sent>"), BadSchemaError),
        (alert(status="Maybe"), BadSchemaError),
        (alert().replace(b"<identifier>32062341600000_20261123060000</identifier>", b""), BadSchemaError),
        (b"<alert>" + b"x" * MAX_BYTES + b"</alert>", TooLargeError),
    ],
)
def test_what_is_not_cap_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse(body)


def test_entities_are_never_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("do not tell")
    attacks = (
        f'<!DOCTYPE alert [<!ENTITY x SYSTEM "file://{secret}">]><alert>&x;</alert>',
        '<!DOCTYPE alert [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><alert>&b;</alert>',
        '<!DOCTYPE alert SYSTEM "http://127.0.0.1:9/x.dtd"><alert/>',
        '<!DOCTYPE alert [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p;]><alert/>',
    )
    for attack in attacks:
        for body in (attack.encode(), attack.encode("utf-16")):
            with pytest.raises(BadInputError) as caught:
                parse(body)
            assert "do not tell" not in str(caught.value)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared samples of public CAP messages are not beside the checkout")
@pytest.mark.parametrize("path", sorted(SHARED.glob("*.cap")), ids=lambda path: path.name)
def test_messages_that_others_wrote(path: Path) -> None:
    if path.name in {"xee.cap", "invalid.cap"}:
        with pytest.raises(BadInputError):
            parse(path.read_bytes())
        return
    message = parse(path.read_bytes())
    assert message.identifier
    assert (message.info is None) == (path.name == "no_optional_fields.cap")
    assert all(severity_of(info) in Severity for info in message.infos)
