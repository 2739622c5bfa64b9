"""Seconds of a recording are seconds of the world: by the RTP clock, set anew where it and arrival part."""

import pytest

from gateway.adapters.media_embedded.rules.tapping import AUDIO, VIDEO
from gateway.adapters.media_embedded.rules.timeline import Timeline

FIRST, SECOND = 1 << 24, 2 << 24


def test_jitter_of_arrival_does_not_show() -> None:
    line = Timeline(100.0)
    assert line.place(VIDEO, FIRST, 0xFFFFF000, 100.0) == 0.0
    assert line.place(VIDEO, FIRST, 0xFFFFF000 + 9000 - (1 << 32), 100.27) == pytest.approx(0.1)
    assert line.place(VIDEO, FIRST, 0xFFFFF000 + 18000 - (1 << 32), 100.2) == pytest.approx(0.2)


def test_a_picture_shown_before_the_former_one_stands_before_it() -> None:
    line = Timeline(0.0)
    line.place(VIDEO, FIRST, 9000, 0.0)
    assert line.place(VIDEO, FIRST, 6000, 0.01) == pytest.approx(-1 / 30)


def test_a_gap_lasts_as_long_as_it_lasted() -> None:
    line = Timeline(0.0)
    line.place(VIDEO, FIRST, 0, 0.0)
    assert line.place(VIDEO, FIRST, 900_000, 10.0) == pytest.approx(10.0)
    assert line.place(VIDEO, FIRST, 903_000, 20.0) == pytest.approx(20.0), "the clock stood still meanwhile"
    assert line.place(VIDEO, SECOND, 77, 30.0) == pytest.approx(30.0), "another source"
    assert line.place(VIDEO, SECOND, 9077, 30.1) == pytest.approx(30.1)


def test_reports_keep_sound_and_picture_together() -> None:
    line = Timeline(0.0)
    line.report(VIDEO, FIRST, 1000 << 32, 90_000)
    line.report(AUDIO, FIRST, 1000 << 32, 48_000)
    assert line.place(VIDEO, FIRST, 90_000, 0.3) == pytest.approx(0.3)
    assert line.place(AUDIO, FIRST, 48_000, 0.1) == pytest.approx(0.3), "heard when it is seen, though it came earlier"
    assert line.place(AUDIO, FIRST, 48_960, 0.12) == pytest.approx(0.32)


def test_reports_that_come_later_put_them_together_once() -> None:
    line = Timeline(0.0)
    line.place(VIDEO, FIRST, 0, 0.3)
    line.place(AUDIO, FIRST, 0, 0.1)
    line.report(VIDEO, FIRST, 1000 << 32, 0)
    line.report(AUDIO, FIRST, 1000 << 32, 0)
    assert line.place(VIDEO, FIRST, 9000, 0.4) == pytest.approx(0.4)
    assert line.place(AUDIO, FIRST, 4800, 0.2) == pytest.approx(0.4)
    assert line.place(AUDIO, FIRST, 5760, 0.22) == pytest.approx(0.42)


def test_reports_that_cannot_be_are_not_followed() -> None:
    line = Timeline(0.0)
    line.report(VIDEO, FIRST, 1000 << 32, 0)
    line.report(AUDIO, FIRST, 2000 << 32, 0)
    line.place(VIDEO, FIRST, 0, 0.1)
    assert line.place(AUDIO, FIRST, 0, 0.1) == pytest.approx(0.1), "a source whose clocks are apart"
    line.report(VIDEO, FIRST, 1000 << 32, 0)
    assert line.place(VIDEO, SECOND, 500, 9.0) == pytest.approx(9.0), "a report of the former source"
