"""A camera stays muted for good; any other voice until nothing of its name has been here for a minute."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.lasting import GONE_S, Lasting

CAMERA, VOICE = "320612/room", "320600/call-01"


def never(_: str) -> bool:
    return False


def test_what_stands_is_never_over() -> None:
    lasting = Lasting()
    lasting.settled([CAMERA])
    assert all(not lasting.over([CAMERA], lambda _: True, at * GONE_S) for at in range(3))


def test_who_was_cut_off_and_comes_again_in_time_is_still_muted() -> None:
    lasting = Lasting()
    assert not lasting.over([VOICE], never, 0.0)
    assert not lasting.over([VOICE], never, GONE_S - 0.1)
    assert not lasting.over([VOICE], lambda _: True, GONE_S)
    assert not lasting.over([VOICE], never, GONE_S + 0.1), "the minute begins anew"


def test_what_is_gone_for_long_is_over_until_it_is_dropped() -> None:
    lasting = Lasting()
    lasting.over([VOICE], never, 5.0)
    assert lasting.over([VOICE], never, 5.0 + GONE_S) == lasting.over([VOICE], never, 6.0 + GONE_S) == {VOICE}
    assert not lasting.over([], never, 7.0 + GONE_S)
    assert not lasting.over([VOICE], never, 8.0 + GONE_S), "muted again, it has its minute again"


def test_after_a_restart_nobody_waits_for_a_session_that_ended_with_the_process() -> None:
    lasting = Lasting()
    lasting.settled([CAMERA, VOICE])
    assert lasting.over([CAMERA, VOICE], lambda stream: stream == CAMERA, 0.0) == {VOICE}


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("abc")), st.floats(0, 40))))
def test_only_what_was_muted_and_away_without_a_break_is_over(story: list[tuple[set[str], set[str], float]]) -> None:
    lasting, now = Lasting(), 0.0
    away: dict[str, float] = {}
    for muted, standing, passes in story:
        now += passes
        away = {stream: away.get(stream, now) for stream in muted - standing}
        over = lasting.over(muted, standing.__contains__, now)
        assert over == {stream for stream, since in away.items() if now - since >= GONE_S}
