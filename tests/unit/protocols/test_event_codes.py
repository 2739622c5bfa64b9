"""Event classes: the Chinese name decides, what is unknown passes."""

import csv

import pytest

from protocols.event_codes import EVENTS, EventClass, classify, is_weather, mentions_tornado
from tests.support.shared import shared

TABLE = shared("warnings/alert-events.csv")


@pytest.mark.parametrize(
    ("code", "name", "expected"),
    [
        ("11B03", "暴雨", EventClass("11B03", "暴雨")),
        ("11B03", "大风", EventClass("11B06", "大风")),
        ("11B06", "大风蓝色预警信号", EventClass("11B06", "大风")),
        ("1006", "大风", EventClass("11B06", "大风")),
        ("1031", "", EventClass("11B31", "强对流")),
        (None, "雷雨大风橙色预警", EventClass("11B20", "雷雨大风")),
        ("11b31", "Strong convection", EventClass("11B31", "Strong convection")),
        ("11A99", "内部演示", EventClass("11A99", "内部演示")),
        ("SVR", "SEVERE THUNDERSTORM", EventClass("SVR", "SEVERE THUNDERSTORM")),
        (None, "山洪", EventClass(None, "山洪")),
        ("11B37", "地质灾害", EventClass("11B37", "地质灾害气象风险")),
    ],
)
def test_the_name_decides_and_what_is_unknown_passes(code, name, expected):
    assert classify(code, name) == expected


@pytest.mark.parametrize(
    ("event", "weather"),
    [
        (EventClass("11B03", "暴雨"), True),
        (EventClass("11B99", "新的一类"), True),
        (EventClass("11A99", "内部暴雨提示"), True),
        (EventClass(None, "龙卷"), True),
        (EventClass("11E02", "风暴潮"), False),
        (EventClass("12A01", "危险化学品泄漏"), False),
    ],
)
def test_a_weather_signal_is_known_by_code_and_by_name(event, weather):
    assert is_weather(event) is weather


def test_a_tornado_is_found_inside_a_text():
    assert mentions_tornado("强对流黄色预警", "局地或现8至10级雷暴大风、弱龙卷")
    assert not mentions_tornado("强对流黄色预警", "局地雷暴大风")


@pytest.mark.skipif(not TABLE.is_file(), reason="the shared table of event types is not beside the checkout")
def test_a_public_table_bears_the_same_names_under_the_same_last_digits():
    with TABLE.open(encoding="utf-8-sig") as file:
        rows = {row["type"]: row["type_name_zh"] for row in csv.DictReader(file)}
    for code, name in EVENTS.items():
        if code.startswith("11B"):
            theirs = rows[f"10{code[-2:]}"]
            assert classify(f"10{code[-2:]}", theirs).code == code, (code, name, theirs)
