from datetime import UTC, datetime

import pytest

from protocols.alarm import Severity
from protocols.cap import CapInfo, CapMessage, division_codes, inside, polygon_of, severity_of


def info(**changes):
    return CapInfo(**({"event": "大风", "severity": "Unknown"} | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"headline": "如东县气象台发布暴雨红色预警信号", "severity": "Minor"}, Severity.RED),
        ({"parameters": {"ColorCode": "Orange"}}, Severity.ORANGE),
        ({"parameters": {"预警": "红色"}, "severity": "Moderate"}, Severity.YELLOW),
        ({"severity": "Severe"}, Severity.ORANGE),
        ({"severity": "extreme"}, Severity.RED),
        ({}, Severity.BLUE),
    ],
)
def test_the_colour_word_decides_then_the_parameter_then_the_severity(changes, expected):
    assert severity_of(info(**changes)) is expected


def test_division_codes_are_read_once_and_in_order():
    assert division_codes(info(geocodes=("320623000000", "320681", "x", "320623"))) == ("320623", "320681")


def message(status="Actual", **changes):
    return CapMessage(
        identifier="1",
        sender="s",
        sent=datetime(2026, 11, 23, tzinfo=UTC),
        status=status,
        type="Alert",
        scope="Public",
        **changes,
    )


@pytest.mark.parametrize(
    ("status", "drill"), [("Actual", False), ("Exercise", True), ("Test", True), ("System", False)]
)
def test_exercises_and_tests_are_drills(status, drill):
    assert message(status).drill is drill


def test_the_chinese_block_is_shown_where_there_is_one():
    assert message().info is None
    english, chinese = info(language="en-US"), info(language="zh-CN")
    assert message(infos=(english, chinese)).info is chinese
    assert message(infos=(english,)).info is english


SQUARE = "32.0,120.0 32.0,121.0 33.0,121.0 33.0,120.0 32.0,120.0"


@pytest.mark.parametrize(
    ("point", "expected"),
    [((32.5, 120.5), True), ((31.9, 120.5), False), ((32.5, 121.1), False), ((33.5, 120.5), False)],
)
def test_a_point_lies_within_a_polygon_or_outside(point, expected):
    assert inside(point, polygon_of(SQUARE)) is expected


@pytest.mark.parametrize(
    "text",
    ["", "32,120", "32,120 33,121 32,121", "a,b c,d e,f a,b", "99,120 33,121 32,121 99,120", "1,2,3 4,5 6,7 8,9"],
)
def test_what_is_no_polygon_has_no_points(text):
    assert polygon_of(text) == ()
    assert not inside((32.5, 120.5), polygon_of(text))
