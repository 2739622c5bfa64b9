"""Key-frame wishes are merged and throttled."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.wish import EVERY_S, PATIENCE_S, KeyFrameWish


def test_many_wishes_are_one_request() -> None:
    wish = KeyFrameWish()
    assert not wish.due(0.0)
    wish.ask()
    assert wish.due(0.0)
    wish.ask()
    assert not wish.due(0.1)
    assert wish.due(EVERY_S), "the second wish is not forgotten"
    assert not wish.due(5.0)


def test_a_key_frame_meets_what_was_wished() -> None:
    wish = KeyFrameWish()
    wish.ask()
    assert wish.due(0.0)
    wish.ask()
    wish.came()
    assert not wish.due(1.0)


def test_overdue_after_patience() -> None:
    wish = KeyFrameWish()
    assert wish.overdue(0.0)
    wish.ask()
    wish.due(0.0)
    assert not wish.overdue(PATIENCE_S - 0.1)
    assert wish.overdue(PATIENCE_S)


@given(st.lists(st.floats(0, 0.3), max_size=100))
def test_never_more_often_than_every_half_second(pauses: list[float]) -> None:
    wish, now, sent = KeyFrameWish(), 0.0, []
    for pause in pauses:
        now += pause
        wish.ask()
        if wish.due(now):
            sent.append(now)
    assert all(b - a >= EVERY_S for a, b in pairwise(sent))
