"""Levels are read from the header alone, rise at once and fall gently."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.level import OLD_S, Meter, linear, read


def test_the_voice_flag_is_not_part_of_the_level() -> None:
    assert (read(b"\x80"), read(b"\x9e"), read(b"\x1e"), read(b"\xff"), read(b"")) == (0, 30, 30, 127, None)


def test_the_scale_is_that_of_webrtc_stats() -> None:
    assert (linear(0), linear(20), linear(127)) == (1.0, 0.1, 0.0)


def test_a_meter_rises_at_once_falls_gently_and_is_silent_after_a_pause() -> None:
    meter = Meter()
    assert meter.level(0.0) is None, "a source that tells no levels has none"
    for number in range(5):
        meter.heard(10, number * 0.02)
    loud = meter.level(0.1)
    assert loud is not None
    assert loud > 0.2
    meter.heard(127, 0.12)
    fallen = meter.level(0.12)
    assert fallen is not None
    assert 0.01 < fallen < loud
    assert meter.level(0.12 + OLD_S + 0.01) == 0.0
    meter.heard(127, 5.0)
    assert meter.level(5.0) == 0.0


@given(st.lists(st.integers(0, 127), min_size=1, max_size=50))
def test_the_smoothed_level_stays_among_what_was_heard(levels: list[int]) -> None:
    meter = Meter()
    for number, one in enumerate(levels):
        meter.heard(one, number * 0.02)
    assert min(levels) <= meter.smooth <= 127
