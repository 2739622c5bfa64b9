"""What a warning must say, and what travels."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from protocols.envelope import Event
from protocols.errors import BadSchemaError
from protocols.ids import ulid
from protocols.warning import ISSUED, WarnedArea, WarningContent, issued_data, missing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE = {
    "event_code": "12A01",
    "event": "危险化学品泄漏",
    "colour": 3,
    "headline": "如东县发布危险化学品泄漏黄色预警",
    "description": "洋口化工园区液氯泄漏，下风向1公里内有危险。",
    "instruction": "关闭门窗，向上风向撤离。",
    "areas": [{"name": "洋口镇", "codes": ["320623104"]}],
    "onset": NOW,
}


def test_a_whole_warning_lacks_nothing():
    assert missing(WarningContent.model_validate(WHOLE)) == ()


@pytest.mark.parametrize("name", ["headline", "description", "instruction", "areas", "onset"])
def test_each_demand_of_the_law_is_named(name):
    content = WarningContent.model_validate({key: value for key, value in WHOLE.items() if key != name})
    assert missing(content) == (name,)


def test_an_area_without_code_or_polygon_is_named():
    content = WarningContent.model_validate(WHOLE).model_copy(update={"areas": (WarnedArea(name="某地"),)})
    assert missing(content) == ("areas.codes",)


def test_unknown_fields_and_bad_codes_are_refused():
    for more in ({"severity": 1}, {"event_code": "12a"}, {"colour": 5}, {"event": ""}):
        with pytest.raises(ValidationError):
            WarningContent.model_validate(WHOLE | more)


def test_the_payload_of_an_issued_warning_is_checked():
    data = {"centre": "320623", "document": "<alert/>", "signature": "x" * 88, "key": "y" * 44}
    event = Event(id=ulid(0, bytes(10)), source="320623", type=ISSUED, time=NOW, data=data, origincounter=1)
    assert issued_data(event).centre == "320623"
    with pytest.raises(BadSchemaError):
        issued_data(event.model_copy(update={"data": data | {"key": "short"}}))
