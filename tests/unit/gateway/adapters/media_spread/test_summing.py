"""Figures of several replicas are those of one engine: what came in counts at home alone, what went out everywhere."""

from gateway.adapters.media_spread.summing import together_of
from gateway.ports.media import EngineStats, StreamState, StreamStats

ROOM, HALL = "320623/room", "320612/hall"


def stream(name, viewers, packets_in, packets_out, state=StreamState.LIVE):
    return StreamStats(
        name, state, "H264", viewers, 0, packets_in, packets_in * 1000, packets_out, packets_out * 1000, 0, 5, 1, 12,
        1.0, 25.0, False,
    )  # fmt: skip


def figures(*streams, sessions=None, restarts=0, lag=0.0):
    return EngineStats(streams, sessions or {}, {"replay": 1}, restarts, lag)


def test_a_copy_is_no_second_stream():
    found = {
        "a": figures(stream(ROOM, 2, 100, 200), sessions={"whip": 1, "whep": 2}, lag=1.0),
        "b": figures(stream(ROOM, 3, 90, 270), stream(HALL, 1, 50, 50), sessions={"whep": 4}, restarts=1, lag=9.0),
    }
    summed = together_of(found, "a", {ROOM: "a", HALL: "b"}.__getitem__)
    by_name = {one.stream: one for one in summed.streams}
    assert (by_name[ROOM].viewers, by_name[ROOM].packets_in, by_name[ROOM].packets_out) == (5, 100, 470)
    assert by_name[HALL].viewers == 1
    assert summed.sessions == {"whip": 1, "whep": 6}
    assert (summed.dropped, summed.worker_restarts, summed.loop_lag_ms) == ({"replay": 2}, 1, 1.0)


def test_a_copy_whose_home_knows_nothing_is_absent():
    summed = together_of({"a": figures(), "b": figures(stream(ROOM, 1, 90, 90))}, "a", lambda _: "a")
    (one,) = summed.streams
    assert (one.state, one.packets_in, one.viewers, one.packets_out) == (StreamState.ABSENT, 0, 1, 90)
    assert (one.codec, one.frames, one.frame_age_ms) == (None, 0, None), "of its picture nothing is known"
