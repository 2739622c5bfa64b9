"""A leg goes from picture to picture; each begins with a key frame, and none is cut off inside a frame."""

from gateway.adapters.media_embedded.rules import rtp, vp8
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.seat import FINISH_S, Seat
from gateway.adapters.media_embedded.rules.strand import Out, Strand
from gateway.ports.media import Layer, Showing


def strand(stream: str = "320623/room", name: str = "main", codec: str = "vp8") -> Strand:
    made = Strand(stream, name)
    made.begin(Ingest("video", {96: Codec(codec, 90000)}, {}), 1)
    return made


def seat(**codecs: int) -> Seat:
    made = Seat(Leg(Plan("video", 5, codecs or {"vp8": 100, "h264": 102}, {}, 10, 20, "video/0"), "wall"))
    made.ready, made.stream = True, "320623/room"
    return made


def frame(number: int, *, key: bool = False, marker: bool = True, picture: int = 1) -> Packet:
    payload = bytes([0x90, 0x80, picture & 0x7F, 0 if key else 1]) + b"pixels %d" % number
    return Packet(96, marker, number, number * 3000, 9, payload)


def read(out: Out) -> list[rtp.Packet]:
    return [rtp.parse(head + payload) for _, _, batch in out for _, head, payload in batch]


def go(one: Seat, goal: Strand | None, now: float) -> list[rtp.Packet]:
    one.aim(goal, now)
    assert one.due(now)
    return read(one.move(now))


def test_another_layer_waits_for_its_key_frame_while_the_old_one_goes_on() -> None:
    main, thumb, one = strand(), strand(name="thumb"), seat()
    go(one, main, 0.0)
    main.packets([frame(1, key=True)], 0.1)
    one.aim(thumb, 0.2)
    assert thumb.wish.due(0.2), "it has none yet, so it is asked for one"
    thumb.packets([frame(5)], 0.3)
    assert not one.due(0.3)
    assert len(main.packets([frame(2)], 0.4)) == 1
    thumb.packets([frame(6, key=True, marker=False)], 0.5)
    assert not one.due(0.5), "half a key frame begins nothing"
    thumb.packets([Packet(96, True, 7, 18000, 9, b"\x80\x80\x01rest")], 0.6)
    assert one.due(0.6)
    began = read(one.move(0.6))
    assert [packet.payload[3:] for packet in began] == [b"\x00pixels 6", b"rest"]
    assert main.legs == []
    assert main.packets_out == 2
    assert len(thumb.packets([frame(8)], 0.7)) == 1


def test_a_wish_that_brought_no_key_frame_is_repeated() -> None:
    main, thumb, one = strand(), strand(name="thumb"), seat()
    go(one, main, 0.0)
    main.packets([frame(1, key=True)], 0.1)
    one.aim(thumb, 0.2)
    assert thumb.wish.due(0.2)
    assert not one.due(1.0)
    assert not thumb.wish.due(1.0)
    main.packets([frame(2)], 2.3)
    assert not one.due(2.3)
    assert thumb.wish.due(2.3)


def test_another_camera_begins_at_once_but_not_inside_a_frame() -> None:
    main, other, one = strand(), strand("320612/room"), seat()
    other.packets([frame(900, key=True, picture=77), frame(901, picture=78)], 0.0)
    go(one, main, 0.0)
    first = read(main.packets([frame(1, key=True), frame(2, marker=False)], 0.1))
    one.aim(other, 0.2)
    assert not one.due(0.2)
    first += read(main.packets([Packet(96, True, 3, 6000, 9, b"\x80\x80\x01rest")], 0.22))
    assert one.due(0.22)
    second = read(one.move(0.22))
    numbers = [packet.sequence for packet in first + second]
    assert numbers == list(range(10, 15)), "one row of numbers over both cameras"
    assert second[0].timestamp > first[-1].timestamp
    pictures = [vp8.descriptor(packet.payload).picture_id for packet in first + second]
    assert pictures == sorted(pictures)


def test_a_frame_that_never_ends_is_not_waited_for() -> None:
    main, other, one = strand(), strand("320612/room"), seat()
    go(one, main, 0.0)
    main.packets([frame(1, key=True, marker=False)], 0.1)
    one.aim(other, 0.2)
    assert not one.due(0.2)
    assert one.due(0.21 + FINISH_S)


def test_an_emptied_seat_sends_nothing_and_counts_where_it_was_sent() -> None:
    main, one = strand(), seat()
    go(one, main, 0.0)
    main.packets([frame(1, key=True)], 0.1)
    assert one.sent()[0] == 1
    go(one, None, 0.2)
    assert main.packets([frame(2)], 0.3) == []
    assert main.packets_out == 1
    go(one, main, 0.4)
    assert one.sent()[0] == 2, "the kept group again"


def test_it_does_not_move_before_its_session_is_up() -> None:
    one = seat()
    one.ready = False
    one.aim(strand(), 0.0)
    assert not one.due(1.0)


def test_what_it_wishes_for() -> None:
    one = seat()
    assert one.wishes() == ("main", "thumb")
    one.limit = Showing.THUMB
    assert one.wishes() == ("thumb", "main")
    one.limit = Showing.SAVED
    assert one.wishes() == ()
    one.limit, one.wish = Showing.MAIN, Layer.THUMB
    assert one.wishes() == ("thumb", "main")
    one.exact = True
    assert one.wishes() == ("thumb",)
    one.resting = True
    assert one.wishes() == ()
    sound = Seat(Leg(Plan("audio", 6, {"opus": 111}, {}, 1, 2, "audio/0"), "wall"))
    sound.limit = Showing.SHED
    assert sound.wishes() == ("audio",), "sound is never left out"


def test_what_it_shows_or_why_it_shows_nothing() -> None:
    one, main = seat(), strand()
    one.stream = None
    assert one.showing(0.0) is Showing.EMPTY
    one.stream = main.stream
    assert one.showing(0.0) is Showing.WAITING
    go(one, main, 0.0)
    assert one.showing(0.0) is Showing.WAITING
    main.packets([frame(1)], 0.1)
    assert one.showing(0.1) is Showing.WAITING, "no key frame yet"
    main.packets([frame(2, key=True)], 0.2)
    assert one.showing(0.2) is Showing.MAIN
    assert one.showing(5.0) is Showing.WAITING, "the source is away"
    one.limit = Showing.SHED
    assert one.showing(0.2) is Showing.SHED
    one.limit, one.stream = Showing.MAIN, "320612/room"
    assert one.showing(0.2) is Showing.WAITING, "the new camera is not there yet"
    deaf = seat(h264=102)
    go(deaf, main, 0.3)
    assert deaf.showing(0.3) is Showing.CODEC
    assert main.packets([frame(3)], 0.4)[1:] == [], "only the other one is sent to"
    assert deaf.leg.dropped["codec_not_offered"] > 0
