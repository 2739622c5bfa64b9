"""The floor goes to who speaks, stays through pauses, and is not taken by a cough."""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.speaker import Speakers

STEP = 0.02
LOUD, LOUDER, QUIET = 25, 15, 90
Scene = dict[str, Callable[[float], int]]


def play(speakers: Speakers, scene: Scene, start: float, seconds: float) -> list[str | None]:
    """Let the sounds be heard; returns the speaker every 100 ms."""
    seen = []
    for step in range(round(seconds / STEP)):
        now = start + step * STEP
        for stream, level in scene.items():
            speakers.heard(stream, level(now), now)
        if step % 5 == 4:
            seen.append(speakers.tick(now))
    return seen


def test_nobody_speaks_in_a_quiet_room() -> None:
    assert set(play(Speakers(), {"a": lambda _: QUIET, "b": lambda _: 70}, 0, 5)) == {None}


def test_the_floor_goes_over_within_three_seconds_and_once() -> None:
    speakers = Speakers()
    first = play(speakers, {"a": lambda _: LOUD, "b": lambda _: QUIET}, 0, 4)
    assert first[-1] == "a"
    assert first.index("a") < 10, "the first word gives the floor"
    second = play(speakers, {"a": lambda _: QUIET, "b": lambda _: LOUD}, 4, 4)
    assert second[-1] == "b"
    assert second.index("b") <= 30
    assert sum(one != other for one, other in pairwise(second)) == 1


def test_a_pause_between_words_keeps_the_floor() -> None:
    speakers = Speakers()
    play(speakers, {"a": lambda _: LOUD, "b": lambda _: 58}, 0, 4)
    assert set(play(speakers, {"a": lambda _: QUIET, "b": lambda _: 58}, 4, 3)) == {"a"}


def test_a_cough_does_not_take_the_floor() -> None:
    speakers = Speakers()
    play(speakers, {"a": lambda _: LOUD, "b": lambda _: QUIET}, 0, 4)
    cough: Scene = {"a": lambda _: LOUD, "b": lambda now: 5 if 4.5 <= now < 4.7 else QUIET}
    assert set(play(speakers, cough, 4, 3)) == {"a"}


def test_a_stream_that_is_gone_does_not_speak() -> None:
    speakers = Speakers()
    play(speakers, {"a": lambda _: LOUD}, 0, 2)
    speakers.forget("a")
    assert speakers.tick(2.1) is None
    assert play(speakers, {"b": lambda _: LOUD}, 2.2, 2)[-1] == "b"


def test_a_source_that_stops_sending_loses_the_floor_to_who_speaks() -> None:
    speakers = Speakers()
    play(speakers, {"a": lambda _: LOUDER, "b": lambda _: QUIET}, 0, 4)
    assert play(speakers, {"b": lambda _: LOUD}, 4, 4)[-1] == "b"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 127)), max_size=200))
def test_the_speaker_is_one_who_was_heard(heard: list[tuple[str, int]]) -> None:
    speakers = Speakers()
    for number, (stream, level) in enumerate(heard):
        speakers.heard(stream, level, number * STEP)
        found = speakers.tick(number * STEP)
        assert found is None or found in {one for one, _ in heard}
