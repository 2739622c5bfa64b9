"""Watching is audited once per person and stream for ten minutes, and what is kept for it is bounded."""

from gateway.web.journal import WATCHED_FOR_S, WATCHED_KEPT, Watched


def test_a_page_that_asks_again_is_no_new_deed() -> None:
    watched = Watched()
    assert watched.begins("wang", "320612/room", 0.0)
    assert not watched.begins("wang", "320612/room", WATCHED_FOR_S - 1)
    assert watched.begins("li", "320612/room", 1.0)
    assert watched.begins("wang", "320612/room", WATCHED_FOR_S), "the time runs from the record, not from the asking"


def test_what_is_kept_is_bounded() -> None:
    watched = Watched()
    for number in range(WATCHED_KEPT + 10):
        watched.begins("wang", f"320612/c{number}", 0.0)
    assert len(watched._last) == WATCHED_KEPT
