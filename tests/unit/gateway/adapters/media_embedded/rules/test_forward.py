"""One stream: a source, its legs, and what happens when either comes and goes."""

from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.forward import LONG_GROUP_S, STALLED_AFTER_S, Stream
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.ports.media import StreamState

KEY, DELTA = b"\x10\x00key", b"\x10\x01delta"


def ingests() -> dict[str, Ingest]:
    return {
        "main": Ingest("video", {96: Codec("vp8", 90000)}, {}),
        "audio": Ingest("audio", {111: Codec("opus", 48000)}, {}),
    }


def leg(owner: str, kind: str = "video") -> Leg:
    return Leg(Plan(kind, 5, {"vp8": 100, "opus": 101}, {}, 10, 20), owner)


def packet(sequence: int, payload: bytes = DELTA, kind: int = 96) -> Packet:
    return Packet(kind, True, sequence, sequence * 3000, 9, payload)


def test_every_leg_gets_every_packet() -> None:
    stream = Stream("320623/room")
    stream.set_source("camera", ingests())
    stream.add_leg(leg("one"), 0.0)
    stream.add_leg(leg("two"), 0.0)
    stream.add_leg(leg("two", "audio"), 0.0)
    out = stream.packets("main", [packet(1, KEY)], 0.1)
    assert [owner for owner, _, _ in out] == ["one", "two"]
    assert [owner for owner, _, _ in stream.packets("audio", [packet(1, b"sound", 111)], 0.1)] == ["two"]
    stream.remove_legs("two")
    assert [owner for owner, _, _ in stream.packets("main", [packet(2)], 0.2)] == ["one"]
    assert stream.totals.packets_out == 2


def test_a_joiner_gets_the_kept_group_or_makes_the_source_be_asked() -> None:
    stream = Stream("s")
    stream.set_source("camera", ingests())
    stream.add_leg(leg("early"), 0.0)
    assert stream.wish.due(0.0)
    for number in range(60):
        stream.packets("main", [packet(number, KEY if number == 0 else DELTA)], number / 60)
    out = stream.add_leg(leg("late"), 1.0)
    assert stream.catching
    while stream.catching:
        out += stream.catch_up(1.0)
    assert len([sent for owner, _, batch in out if owner == "late" for sent in batch]) == 60
    assert not stream.wish.due(1.0)
    stream.add_leg(leg("later"), LONG_GROUP_S + 0.1)
    assert stream.wish.due(LONG_GROUP_S + 0.1), "a long group: a new key frame is quicker"


def test_legs_outlive_the_source() -> None:
    stream = Stream("s")
    stream.add_leg(leg("viewer"), 0.0)
    stream.set_source("camera", ingests())
    first = stream.packets("main", [packet(1, KEY)], 0.1)
    stream.drop_source()
    assert not stream.idle
    assert stream.key_frame() is None
    stream.set_source("camera again", ingests())
    second = stream.packets("main", [packet(30000, KEY)], 9.0)
    assert second[0][2][0][0] == first[0][2][0][0] + 1
    assert stream.totals.packets_in == 1
    stream.drop_source()
    stream.remove_legs("viewer")
    assert stream.idle


def test_states() -> None:
    stream = Stream("s")
    assert not stream.tick(0.0)
    stream.set_source("camera", ingests())
    assert stream.tick(0.0)
    assert stream.state is StreamState.STARTING
    stream.packets("main", [packet(1, KEY)], 1.0)
    assert stream.tick(1.0)
    assert stream.state is StreamState.LIVE
    assert stream.tick(1.0 + STALLED_AFTER_S + 0.1)
    assert stream.state is StreamState.STALLED
    stream.packets("main", [packet(2)], 4.0)
    assert stream.tick(4.0)
    stream.drop_source()
    assert stream.tick(4.1)
    assert stream.state is StreamState.ABSENT


def test_a_lost_packet_makes_the_source_be_asked_once() -> None:
    stream = Stream("s")
    stream.set_source("camera", ingests())
    stream.add_leg(leg("viewer"), 0.0)
    stream.wish.due(0.0)
    stream.packets("main", [packet(1, KEY)], 0.1)
    stream.packets("main", [packet(3)], 0.1)
    stream.ingests["main"].missing(2.0)
    stream.tick(2.0)
    assert stream.wish.due(2.0)
    stream.tick(3.0)
    assert not stream.wish.due(3.0)


def test_a_viewers_request_repeats_its_join_or_asks_the_source() -> None:
    stream = Stream("s")
    stream.set_source("camera", ingests())
    viewer = leg("viewer")
    stream.add_leg(viewer, 0.0)
    stream.wish.due(0.0)
    stream.packets("main", [packet(1, KEY)], 0.1)
    assert len(stream.key_frame_asked(viewer, 0.5)) == 1
    assert not stream.wish.due(1.0)
    assert stream.key_frame_asked(viewer, 10.0) == []
    assert stream.wish.due(10.0)


def test_sender_reports_reach_the_legs_of_their_kind() -> None:
    stream = Stream("s")
    stream.set_source("camera", ingests())
    stream.add_leg(leg("viewer"), 0.0)
    stream.packets("main", [packet(1, KEY)], 0.1)
    assert [owner for owner, _ in stream.sender_report("main", SenderInfo(9, 1 << 32, 3000, 1, 1), 0.2)] == ["viewer"]
    assert stream.sender_report("main", SenderInfo(1234, 1 << 32, 3000, 1, 1), 0.2) == []
    assert stream.sender_report("audio", SenderInfo(9, 1 << 32, 3000, 1, 1), 0.2) == []


def test_what_never_comes_is_filled_so_that_viewers_do_not_wait() -> None:
    stream = Stream("s")
    stream.set_source("camera", ingests())
    stream.add_leg(leg("viewer"), 0.0)
    sent = stream.packets("main", [packet(1, KEY)], 0.1) + stream.packets("main", [packet(4)], 0.1)
    assert stream.repairs("main", 0.2) == ([2, 3], [])
    _, fillers = stream.repairs("main", 2.0)
    numbers = [rtp.parse(head + payload) for _, _, batch in sent + fillers for _, head, payload in batch]
    assert [p.sequence for p in numbers] == [10, 13, 11, 12]
    assert [p.payload for p in numbers[2:]] == [b"", b""]
    assert {p.timestamp for p in numbers[2:]} == {numbers[0].timestamp}, "they belong to the frame before"
