import pytest

from gateway.rollcall.rules.sound import Loudness, decibels, judge
from protocols.rollcall import CheckResult, Defect


def track(levels, every_s=0.25):
    return [Loudness(number * every_s, level) for number, level in enumerate(levels)]


def test_speech_with_its_pauses_is_good():
    found = judge(track([-30.0, -25.0, -60.0, -70.0] * 8))
    assert (found.result, found.defect, found.peak_db) == (CheckResult.GOOD, None, -25.0)


@pytest.mark.parametrize("level", [-127.0, -90.0, -41.0])
def test_a_muted_microphone_is_silent_after_five_seconds(level):
    assert judge(track([level] * 21)).defect is Defect.SILENT
    assert judge(track([level] * 20)).result is CheckResult.UNKNOWN


def test_one_knock_on_the_desk_is_no_speech():
    assert judge(track([-80.0] * 39 + [-20.0])).defect is Defect.SILENT


def test_overload_is_an_issue():
    assert judge(track([-20.0] * 19 + [-0.5] * 3)).defect is Defect.CLIPPED
    assert judge(track([-20.0] * 400 + [-0.5] * 3)).result is CheckResult.GOOD


def test_a_stream_without_sound_is_not_called_silent():
    assert judge(track([None] * 40)).result is CheckResult.UNKNOWN
    assert judge([]).result is CheckResult.UNKNOWN


def test_decibels_of_a_level():
    assert decibels(None) is None
    assert decibels(0.0) == -127.0
    assert decibels(1.0) == 0.0
    assert decibels(0.01) == -40.0
    assert decibels(1e-12) == -127.0
