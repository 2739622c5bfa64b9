"""Command is heard, the muted are not, the loudest few hold the floor, and a cough moves nobody."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.floor import HYSTERESIS_S, MOST, SILENCE_S, Floor, Voice


def room(**levels: float | None) -> list[Voice]:
    return [Voice(name, level) for name, level in levels.items()]


def test_the_loudest_few_are_heard() -> None:
    assert set(Floor().choose(room(a=0.3, b=0.9, c=0.5, d=0.7, e=0.05), 0.0)) == {"b", "c", "d"}


def test_command_is_always_heard_and_first() -> None:
    voices = [*room(a=0.9, b=0.8, c=0.7), Voice("chief", 0.0, command=True)]
    assert Floor().choose(voices, 0.0) == ("chief", "a", "b")
    chiefs = [Voice(f"chief{n}", 0.0, command=True) for n in range(5)]
    assert len(Floor(most=2).choose([*chiefs, Voice("a", 0.9)], 0.0)) == 5


def test_a_muted_voice_is_gone_at_once_even_if_it_commands() -> None:
    floor = Floor()
    assert floor.choose(room(a=0.5), 0.0) == ("a",)
    assert floor.choose([Voice("a", 0.9, muted=True), Voice("b", 0.9, muted=True, command=True)], 0.1) == ()


def test_nobody_hears_the_own_voice() -> None:
    assert Floor("a").choose([*room(a=0.9, b=0.5), Voice("a", command=True)], 0.0) == ("b",)


def test_a_cough_takes_no_place_and_a_speech_does_after_a_second() -> None:
    floor = Floor(most=1)
    assert floor.choose(room(a=0.4, b=0.0), 0.0) == ("a",)
    assert floor.choose(room(a=0.4, b=0.9), 1.0) == ("a",)
    assert floor.choose(room(a=0.4, b=0.1), 1.5) == ("a",)
    assert floor.choose(room(a=0.4, b=0.9), 2.0) == ("a",)
    assert floor.choose(room(a=0.4, b=0.9), 2.0 + HYSTERESIS_S) == ("b",)


def test_who_falls_silent_keeps_the_place_until_it_is_wanted_or_given_back() -> None:
    floor = Floor(most=1)
    floor.choose(room(a=0.4), 0.0)
    assert floor.choose(room(a=0.0), SILENCE_S - 0.1) == ("a",)
    assert floor.choose(room(a=0.0), SILENCE_S) == ()


def test_a_sender_that_tells_no_level_is_heard_where_there_is_room() -> None:
    assert Floor(most=2).choose(room(a=None, b=0.9), 0.0) == ("b", "a")


VOICES = st.lists(
    st.builds(Voice, st.sampled_from("abcdef"), st.one_of(st.none(), st.floats(0, 1)), st.booleans(), st.booleans()),
    max_size=6,
    unique_by=lambda voice: voice.stream,
)


@given(st.lists(st.tuples(VOICES, st.floats(0, 2)), max_size=20))
def test_the_law_holds_whatever_happens(story: list[tuple[list[Voice], float]]) -> None:
    floor, now = Floor("a"), 0.0
    for voices, passes in story:
        now += passes
        heard = floor.choose(voices, now)
        known = {voice.stream: voice for voice in voices}
        commands = {v.stream for v in voices if v.command and not v.muted and v.stream != "a"}
        assert len(heard) == len(set(heard)) <= max(MOST, len(commands))
        assert commands <= set(heard)
        assert all(not known[stream].muted and stream != "a" for stream in heard)
