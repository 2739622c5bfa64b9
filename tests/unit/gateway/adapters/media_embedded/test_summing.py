"""What several workers count, as one engine tells it."""

from dataclasses import replace

from gateway.adapters.media_embedded.summing import summed
from gateway.adapters.media_embedded.wire import Figures
from gateway.ports.media import SessionKind, SessionStats, StreamState, StreamStats, WorkerStats

HOME = StreamStats(
    stream="320623/room", state=StreamState.LIVE, codec="h264", viewers=3, relays=1, packets_in=100, bytes_in=100_000,
    packets_out=400, bytes_out=400_000, lost=2, frames=50, key_frames=5, frame_age_ms=20, key_frame_interval_s=1.0,
    frame_rate=25.0, audio=True,
)  # fmt: skip
COPY = replace(HOME, viewers=2, relays=0, packets_in=90, bytes_in=90_000, packets_out=180, bytes_out=180_000, lost=0)


def line(kind: SessionKind) -> SessionStats:
    return SessionStats(kind.value, kind, HOME.stream, 1, 1, None, None, None, "GCM", "udp")


def figures(stream: StreamStats, gso: str, sessions: dict[str, int], lag_ms: float) -> Figures:
    kinds = [SessionKind(kind) for kind in sessions]
    return Figures((stream,), sessions, {"replay": 1}, lag_ms, {"gso": gso}, tuple(line(kind) for kind in kinds))


def test_what_came_in_is_counted_at_the_home_and_what_went_out_everywhere() -> None:
    found = {
        "0": figures(HOME, "on", {"whip": 1, "whep": 3, "relay": 1, "bridge": 1}, 3.0),
        "1": figures(COPY, "off", {"whep": 2, "bridged": 1}, 9.0),
    }
    told = summed(found, lambda _: "0", ["0", "1", "2"], 4)
    assert told.streams == (replace(HOME, viewers=5, packets_out=580, bytes_out=580_000),)
    assert told.sessions == {"whip": 1, "whep": 5, "relay": 1}
    assert sorted(one.kind.value for one in told.lines) == ["relay", "whep", "whep", "whip"]
    assert (told.dropped, told.worker_restarts, told.loop_lag_ms) == ({"replay": 2}, 4, 9.0)
    assert told.modes == {"gso": "off/on"}
    assert told.bridges == 1
    assert told.workers == (
        WorkerStats("0", up=True, sessions=5, bridges=1, loop_lag_ms=3.0),
        WorkerStats("1", up=True, sessions=2, bridges=0, loop_lag_ms=9.0),
        WorkerStats("2", up=False, sessions=0, bridges=0, loop_lag_ms=0.0),
    )


def test_a_copy_without_its_home_is_no_source() -> None:
    told = summed({"1": figures(COPY, "on", {"whep": 2}, 0.0)}, lambda _: "0", ["0", "1"], 0)
    (stream,) = told.streams
    assert (stream.state, stream.codec, stream.packets_in, stream.frame_age_ms) == (StreamState.ABSENT, None, 0, None)
    assert (stream.viewers, stream.packets_out) == (2, 180)
