from datetime import UTC, datetime, timedelta

from edge_agent.sensors.limits import Limit, Limits
from protocols.alarm import Condition, Severity

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LEVEL = Limit("39", "水位", Severity.ORANGE, "m", high=3.2, back=0.1)
BATTERY = Limit("38", "电压", Severity.BLUE, "V", low=11.0)


def limits(*, silent_after_s=0.0):
    return Limits([LEVEL, BATTERY], {"1": "洋口港", "2": ""}, silent_after_s, None)


def step(judge, value, element="39"):
    changes = judge.measured("1", element, value, NOW)
    judge.done(changes)
    return [change.report.condition for change in changes]


def test_an_alarm_is_raised_once_and_clears_only_behind_its_slack():
    judge = limits()
    assert step(judge, 3.0) == [Condition.CLEARED]  # what stood before the start is cleared once
    assert step(judge, 3.1) == []
    assert step(judge, 3.2) == [Condition.ACTIVE]
    assert step(judge, 3.9) == []
    assert step(judge, 3.15) == []
    assert step(judge, 3.1) == [Condition.CLEARED]


def test_a_low_limit_and_what_people_read():
    judge = limits()
    (change,) = judge.measured("1", "38", 10.9, NOW)
    assert change.report.headline == "洋口港电压 10.9V,低于下限 11V"
    assert change.report.alarm_key == "1/38/low4"
    assert change.report.severity is Severity.BLUE
    assert (change.report.value, change.report.unit, change.report.observed_at) == (10.9, "V", NOW)


def test_what_could_not_be_stored_is_found_again():
    judge = limits()
    assert judge.measured("1", "39", 4.0, NOW)
    assert judge.measured("1", "39", 4.0, NOW)
    judge.done(judge.measured("1", "39", 4.0, NOW))
    assert not judge.measured("1", "39", 4.0, NOW)


def test_a_station_of_its_own():
    judge = Limits([Limit("39", "水位", Severity.RED, high=1.0, station="2")], {"1": "", "2": ""}, 0, None)
    assert not judge.measured("1", "39", 5.0, NOW)
    assert judge.measured("2", "39", 5.0, NOW)


def test_bits_say_something_only_when_they_change():
    judge = limits()
    assert not judge.flagged("1", "status/power", "交流电停电", Severity.YELLOW, raised=False)
    raised = judge.flagged("1", "status/power", "交流电停电", Severity.YELLOW, raised=True)
    judge.done(raised)
    assert not judge.flagged("1", "status/power", "交流电停电", Severity.YELLOW, raised=True)
    (cleared,) = judge.flagged("1", "status/power", "交流电停电", Severity.YELLOW, raised=False)
    assert cleared.report.headline == "洋口港交流电停电,恢复正常"


def test_silence_is_an_alarm_and_ends_with_a_word():
    judge = limits(silent_after_s=600)
    judge.begin(NOW)
    assert judge.tick(NOW + timedelta(minutes=9)) == []
    assert judge.heard("1", NOW + timedelta(minutes=9)) == []
    (silent,) = judge.tick(NOW + timedelta(minutes=11))
    assert (silent.report.alarm_key, silent.report.event_type) == ("2/silent", "dev.silent")
    judge.done([silent])
    assert judge.tick(NOW + timedelta(minutes=12)) == []
    (back,) = judge.heard("2", NOW + timedelta(minutes=13))
    assert back.report.condition is Condition.CLEARED


def test_no_patience_means_no_watch():
    judge = limits()
    judge.begin(NOW)
    assert judge.tick(NOW + timedelta(days=9)) == []
