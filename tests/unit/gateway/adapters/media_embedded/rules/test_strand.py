"""One track of a stream and the legs that follow it."""

from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.strand import LONG_GROUP_S, MEASURE_EVERY_S, STALLED_AFTER_S, Strand

KEY, DELTA = b"\x10\x00key", b"\x10\x01delta"


def strand(name: str = "main") -> Strand:
    made = Strand("320623/room", name)
    begin(made)
    return made


def begin(track: Strand, source: int = 1) -> None:
    codec = Codec("vp8", 90000) if track.video else Codec("opus", 48000)
    track.begin(Ingest("video" if track.video else "audio", {96: codec}, {}), source)


def leg(owner: str, kind: str = "video") -> Leg:
    return Leg(Plan(kind, 5, {"vp8": 100, "opus": 101}, {}, 10, 20), owner)


def packet(sequence: int, payload: bytes = DELTA, *, marker: bool = True) -> Packet:
    return Packet(96, marker, sequence, sequence * 3000, 9, payload)


def test_every_leg_gets_every_packet() -> None:
    track, two = strand(), leg("two")
    track.add(leg("one"), 0.0)
    track.add(two, 0.0)
    assert [owner for owner, _, _ in track.packets([packet(1, KEY)], 0.1)] == ["one", "two"]
    track.remove(two, two.packets, two.octets)
    assert [owner for owner, _, _ in track.packets([packet(2)], 0.2)] == ["one"]
    assert (track.packets_out, track.octets_out) == (1, len(KEY))
    sound = strand("audio")
    sound.add(leg("two", "audio"), 0.0)
    assert [owner for owner, _, _ in sound.packets([packet(1, b"sound")], 0.1)] == ["two"]


def test_a_joiner_gets_the_kept_group_or_makes_the_source_be_asked() -> None:
    track = strand()
    track.add(leg("early"), 0.0)
    assert track.wish.due(0.0)
    for number in range(60):
        track.packets([packet(number, KEY if number == 0 else DELTA)], number / 60)
    out = track.add(leg("late"), 1.0)
    assert track.catching
    while track.catching:
        out += track.catch_up(1.0)
    assert len([sent for owner, _, batch in out if owner == "late" for sent in batch]) == 60
    assert not track.wish.due(1.0)
    track.add(leg("later"), LONG_GROUP_S + 0.1)
    assert track.wish.due(LONG_GROUP_S + 0.1), "a long group: a new key frame is quicker"


def test_an_old_group_of_a_silent_source_is_shown_to_nobody() -> None:
    track, late = strand(), leg("late")
    track.packets([packet(1, KEY)], 0.0)
    track.packets([packet(2)], 0.1)
    track.wish.due(0.1)
    silent = 0.1 + STALLED_AFTER_S + 0.01
    assert track.add(late, silent) == []
    assert late.starved
    assert track.wish.due(silent), "a picture of now is asked for"
    ((owner, _, sent),) = track.packets([packet(3)], silent + 30)
    assert (owner, len(sent)) == ("late", 3), "it goes on: the group leads up to now"
    assert track.add(leg("later"), silent + 30.1)


def test_legs_outlive_the_source() -> None:
    track = strand()
    track.add(leg("viewer"), 0.0)
    first = track.packets([packet(1, KEY)], 0.1)
    track.end()
    assert (track.live(0.1), track.codec, track.gop.key_frame()) == (False, None, None)
    begin(track, 2)
    second = track.packets([packet(30000, KEY)], 9.0)
    assert second[0][2][0][0] == first[0][2][0][0] + 1


def test_a_track_lives_while_packets_come() -> None:
    track = strand()
    assert not track.live(0.0)
    track.packets([packet(1, KEY, marker=False)], 1.0)
    assert (track.live(1.0), track.codec, track.whole) == (True, "vp8", False)
    assert not track.live(1.1 + STALLED_AFTER_S)
    track.packets([packet(2)], 5.0)
    assert track.whole


def test_a_lost_packet_makes_the_source_be_asked_once() -> None:
    track = strand()
    track.add(leg("viewer"), 0.0)
    track.wish.due(0.0)
    track.packets([packet(1, KEY)], 0.1)
    track.packets([packet(3)], 0.1)
    track.repairs(2.0)
    track.tick(2.0)
    assert track.wish.due(2.0)
    track.tick(3.0)
    assert not track.wish.due(3.0)


def test_who_starves_asks_again() -> None:
    track = strand()
    track.add(leg("viewer"), 0.0)
    assert track.wish.due(0.0)
    track.tick(1.0)
    assert not track.wish.due(1.0)
    track.tick(2.0)
    assert track.wish.due(2.0)


def test_a_viewers_request_repeats_its_join_or_asks_the_source() -> None:
    track, viewer = strand(), leg("viewer")
    track.add(viewer, 0.0)
    track.wish.due(0.0)
    track.packets([packet(1, KEY)], 0.1)
    assert len(track.key_frame_asked(viewer, 0.5)) == 1
    assert not track.wish.due(1.0)
    assert track.key_frame_asked(viewer, 10.0) == []
    assert track.wish.due(10.0)


def test_sender_reports_reach_the_legs() -> None:
    track = strand()
    track.add(leg("viewer"), 0.0)
    track.packets([packet(1, KEY)], 0.1)
    assert [owner for owner, _ in track.sender_report(SenderInfo(9, 1 << 32, 3000, 1, 1), 0.2)] == ["viewer"]
    assert track.sender_report(SenderInfo(1234, 1 << 32, 3000, 1, 1), 0.2) == []


def test_what_never_comes_is_filled_so_that_viewers_do_not_wait() -> None:
    track = strand()
    track.add(leg("viewer"), 0.0)
    sent = track.packets([packet(1, KEY)], 0.1) + track.packets([packet(4)], 0.1)
    assert track.repairs(0.2) == ([2, 3], [])
    _, fillers = track.repairs(2.0)
    numbers = [rtp.parse(head + payload) for _, _, batch in sent + fillers for _, head, payload in batch]
    assert [p.sequence for p in numbers] == [10, 13, 11, 12]
    assert [p.payload for p in numbers[2:]] == [b"", b""]
    assert {p.timestamp for p in numbers[2:]} == {numbers[0].timestamp}, "they belong to the frame before"


def test_its_bitrate_is_measured_and_kept_while_it_rests() -> None:
    track = strand()
    for number in range(100):
        now = 1.0 + number / 20
        track.packets([packet(number, KEY[:2] + bytes(498))], now)
        track.tick(now)
    assert 70_000 < track.bitrate < 90_000
    before = track.bitrate
    track.tick(20.0 + MEASURE_EVERY_S)
    track.tick(30.0)
    assert track.bitrate >= before - 20_000
