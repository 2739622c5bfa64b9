"""What replicas say to each other about media arrives as it was meant, and nonsense is an error with a code."""

import pytest

from gateway.adapters.media_spread import wire
from gateway.ports.media import (
    Capability,
    EndReason,
    EngineRestarted,
    EngineStats,
    Layer,
    LayersWanted,
    RecordingEnded,
    SessionAnswer,
    SessionEnded,
    SessionKind,
    Showing,
    Slot,
    SlotChanged,
    Still,
    StreamChanged,
    StreamState,
    StreamStats,
    TrickleAnswer,
    WorkerStats,
)
from protocols.errors import BadMediaError, BadSchemaError, CodecError, NotFoundError, RefusedError
from protocols.picture import PictureFigures

ROOM = "320623/room"
EVENTS = [
    StreamChanged(ROOM, StreamState.LIVE, 0.25),
    SessionEnded("s", ROOM, SessionKind.WHIP, EndReason.CONSENT_LOST),
    EngineRestarted((ROOM,), (ROOM,), ("s", "t")),
    LayersWanted(ROOM, frozenset({Layer.MAIN, Layer.THUMB})),
    SlotChanged("s", "video", 3, None, Showing.EMPTY),
    RecordingEnded("r", ROOM, "closed", 1.5, 10, 0, ("a.mp4",)),
]
FIGURES = PictureFigures("ab", b"\x00\xff", 1.0, 2.0, 3.0, 4.0, ("320623", 7), "4711")
PICTURE = Still(ROOM, b"\xff\xd8\xff", 640, 360, 12, 100.0, 90.0, 20.0, b"\x01\x02", FIGURES, 99.0)
STREAM = StreamStats(
    ROOM, StreamState.LIVE, "H264", 1, 0, 10, 20, 30, 40, 0, 5, 1, 12, 1.0, 25.0, True, layers=(Layer.MAIN,)
)
STATS = EngineStats((STREAM,), {"whip": 1}, {"replay": 2}, 0, 0.5, workers=(WorkerStats("1", True, 1, 0, 0.1),))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_arrive_as_they_were(event):
    line = wire.pack_event(event)
    assert b"\n" not in line
    assert wire.read_event(line.decode()) == event


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("publish", SessionAnswer("s", ROOM, "v=0\r\n", "tag")),
        ("trickle", TrickleAnswer(None, "tag")),
        ("still", PICTURE),
        ("stats", STATS),
        ("relay", "s"),
        ("end", None),
    ],
)
def test_results_arrive_as_they_were(call, value):
    assert wire.read_result(call, wire.pack(value)) == value


def test_arguments_have_their_kinds_again():
    slots = (Slot("video", 0, ROOM, Layer.THUMB, 1),)
    found = wire.read_arguments(wire.pack({"slots": slots, "layers": frozenset({Layer.MAIN}), "client": None}))
    assert found == {"slots": slots, "layers": frozenset({Layer.MAIN}), "client": None}


def test_the_first_line_says_what_an_engine_can_do():
    line = wire.pack_hello(frozenset(Capability)).decode()
    assert wire.read_hello(line) == frozenset(Capability)


def test_errors_are_those_of_the_port():
    for error in (NotFoundError("no such wall"), BadMediaError("no codec"), CodecError("comes as av1")):
        found = wire.read_error(wire.pack_error(error))
        assert (type(found), str(found)) == (type(error), str(error))
    other = wire.read_error(b'{"code":"too_often","message":"later"}')
    assert isinstance(other, RefusedError)
    assert other.reason == "too_often"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"session_id":1}'])
def test_nonsense_is_an_error_with_a_code(data):
    with pytest.raises(BadSchemaError):
        wire.read_result("publish", data)
    with pytest.raises(BadSchemaError):
        wire.read_arguments(data if data != b'{"session_id":1}' else b'{"layers":["huge"]}')


def test_an_event_of_a_newer_version_is_passed_over():
    assert wire.read_event('{"event":"MoonRose","value":{}}') is None


def test_times_of_pictures_pass_as_ages():
    there = wire.aged(PICTURE, 103.0)
    assert (there.arrived_at, there.there_at) == (3.0, 4.0)
    here = wire.aged(there, 5003.0)
    assert (here.arrived_at, here.there_at) == (5000.0, 4999.0)
