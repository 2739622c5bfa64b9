"""Which alarm gives reason for a call, and which does not."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.rollcall.rules.profiles import Profile, Trigger, TriggerSource
from gateway.rollcall.rules.trigger import Reason, offer

NOW = datetime(2026, 7, 1, 3, tzinfo=UTC)
RED = Reason(TriggerSource.ALARM, "01", "320623", 1, "11B03", "暴雨红色")


@pytest.mark.parametrize(
    ("triggers", "automatic"),
    [
        ((Trigger(),), False),
        ((Trigger(automatic=True),), True),
        ((Trigger(event_type="11B"),), False),
        ((Trigger(source=TriggerSource.WARNING),), None),
        ((Trigger(event_type="11B05"),), None),
        ((), None),
    ],
)
def test_the_first_trigger_that_fits_counts(triggers, automatic):
    found = offer(Profile(triggers=triggers), RED, ["320623"], {}, NOW)
    assert (found.automatic if found else None) == automatic


def test_a_milder_alarm_is_no_reason():
    mild = Reason(TriggerSource.ALARM, "01", "320623", 3, "", "")
    assert offer(Profile(), mild, ["320623"], {}, NOW) is None


def test_a_county_that_was_called_lately_rests():
    profile = Profile(triggers=(Trigger(rest_s=600),))
    taken = {"320623": NOW - timedelta(seconds=599), "320681": NOW - timedelta(seconds=600)}
    assert offer(profile, RED, ["320623", "320681"], taken, NOW).centres == ("320681",)
    assert offer(profile, RED, ["320623"], taken, NOW) is None
