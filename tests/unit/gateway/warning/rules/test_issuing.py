"""Who may issue what: the ban on weather signals, authority by unit, event and colour, what the law demands."""

import pytest

from gateway.warning.rules.issuing import Issuer, check_complete, issuer_of
from protocols.errors import NotIssuerError, WarningIncompleteError, WeatherSignalError
from protocols.warning import WarningContent
from tests.unit.protocols.test_warning import NOW, WHOLE

UNIT = "如东县应急管理局"
ISSUERS = [
    Issuer(UNIT, "41800000", ("12A", "11E02"), 3),
    Issuer(UNIT, "41800001", ("12B",), 1),
    Issuer("贪心局", "41900000", ("11B", "1"), 1),
]


def content(**more):
    return WarningContent.model_validate(WHOLE | more)


@pytest.mark.parametrize(
    "more",
    [
        {"event_code": "11B03", "event": "暴雨"},
        {"event_code": "12A01", "event": "暴雨"},
        {"event_code": "12A01", "event": "暴雨黄色预警信号"},
        {"event_code": "11B99", "event": "新的一类"},
        {"description": "局地可能出现龙卷"},
        {"instruction": "防范龙卷风"},
    ],
)
@pytest.mark.parametrize("unit", [UNIT, "贪心局"])
def test_a_weather_signal_is_never_issued_whatever_the_settings_say(unit, more):
    with pytest.raises(WeatherSignalError):
        issuer_of(unit, content(**more), ISSUERS)


def test_authority_is_by_unit_event_and_colour():
    assert issuer_of(UNIT, content(), ISSUERS).sender == "41800000"
    assert issuer_of(UNIT, content(event_code="12B07", colour=1), ISSUERS).sender == "41800001"
    assert issuer_of(UNIT, content(event_code="11E02", event="风暴潮", colour=4), ISSUERS).sender == "41800000"
    for unit, more in (("别的局", {}), (UNIT, {"event_code": "13A01"}), (UNIT, {"colour": 2})):
        with pytest.raises(NotIssuerError):
            issuer_of(unit, content(**more), ISSUERS)


def test_what_the_law_demands_is_named():
    check_complete(content())
    with pytest.raises(WarningIncompleteError, match="instruction"):
        check_complete(content(instruction=""))
    with pytest.raises(WarningIncompleteError, match="another colour"):
        check_complete(content(colour=1))
    with pytest.raises(WarningIncompleteError, match="expires"):
        check_complete(content(expires=NOW))
