"""What stands in a wall's slots: wanted while shown, told why not, undone where the engine will not."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.media.machine import Trouble
from gateway.media.wall import Wall, wanted_layers, why_of
from gateway.ports.media import Layer, Showing, Slot, StreamState

AT = datetime(2026, 11, 24, tzinfo=UTC)
A, B = "320612/room", "320623/room"


def test_a_switched_slot_wants_the_new_stream_and_lets_the_old_one_go() -> None:
    wall = Wall("w", "wang")
    first = (Slot("video", 0, A), Slot("video", 1, B))
    assert wall.plan(first).wants == first
    wall.assigned(first, AT)
    plan = wall.plan([Slot("video", 0, B), Slot("video", 1, None)])
    assert plan.wants == (Slot("video", 0, B),)
    assert plan.releases == (Slot("video", 0, A), Slot("video", 1, B))


def test_the_last_word_on_a_slot_counts() -> None:
    plan = Wall("w", "wang").plan([Slot("video", 0, A), Slot("video", 0, B)])
    assert plan.wants == (Slot("video", 0, B),)


def test_another_layer_of_the_same_stream_lets_nothing_go() -> None:
    wall = Wall("w", "wang")
    wall.assigned([Slot("video", 0, A, Layer.THUMB)], AT)
    wall.shows(("video", 0), A, Showing.THUMB, None, AT)
    stage = Slot("video", 0, A, Layer.MAIN, 1)
    assert wall.plan([stage]).releases == ()
    wall.assigned([stage], AT + timedelta(seconds=1))
    (state,) = wall.states()
    assert (state.slot, state.showing, state.since) == (stage, Showing.THUMB, AT)


def test_a_word_on_a_former_stream_is_not_believed() -> None:
    wall = Wall("w", "wang")
    wall.assigned([Slot("video", 0, A)], AT)
    assert wall.shows(("video", 0), B, Showing.MAIN, None, AT) is None
    assert wall.shows(("video", 3), A, Showing.MAIN, None, AT) is None
    later = AT + timedelta(seconds=2)
    shown = wall.shows(("video", 0), A, Showing.MAIN, None, later)
    assert shown is not None
    assert shown.since == later
    assert wall.shows(("video", 0), A, Showing.MAIN, None, later) is None


def test_what_the_engine_refused_is_undone() -> None:
    wall = Wall("w", "wang")
    wall.assigned([Slot("video", 0, A)], AT)
    former = wall.snapshot()
    wall.assigned([Slot("video", 0, B), Slot("video", 7, A)], AT)
    wall.restore(former)
    assert wall.streams() == {A}
    assert [state.slot.index for state in wall.waiting_for(A)] == [0]


@pytest.mark.parametrize(
    ("showing", "trouble", "state", "why"),
    [
        (Showing.MAIN, Trouble.NO_LINK, StreamState.LIVE, None),
        (Showing.SOUND, None, StreamState.LIVE, None),
        (Showing.EMPTY, None, StreamState.ABSENT, None),
        (Showing.WAITING, Trouble.NOT_SHARED, StreamState.ABSENT, "not_shared"),
        (Showing.WAITING, None, StreamState.ABSENT, "absent"),
        (Showing.WAITING, None, StreamState.STARTING, "starting"),
        (Showing.WAITING, None, StreamState.STALLED, "stalled"),
        (Showing.WAITING, None, StreamState.LIVE, "key_frame"),
        (Showing.SAVED, None, StreamState.LIVE, "saved"),
        (Showing.SHED, None, StreamState.LIVE, "shed"),
        (Showing.CODEC, Trouble.NO_LINK, StreamState.LIVE, "codec"),
    ],
)
def test_every_dark_slot_has_a_reason(
    showing: Showing, trouble: Trouble | None, state: StreamState, why: str | None
) -> None:
    assert why_of(showing, trouble, state) == why


def test_a_sound_asks_for_the_small_picture_only() -> None:
    assert wanted_layers(Slot("audio", 0, A)) == {Layer.THUMB}
    assert wanted_layers(Slot("video", 0, A)) == {Layer.MAIN}
