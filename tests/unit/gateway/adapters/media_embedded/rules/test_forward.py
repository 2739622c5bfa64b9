"""One stream: a source with its layers, the seats that watch it, and what happens when either comes and goes."""

from gateway.adapters.media_embedded.rules.forward import Stream
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.seat import Seat
from gateway.adapters.media_embedded.rules.strand import STALLED_AFTER_S
from gateway.ports.media import Layer, Showing, StreamState

KEY, DELTA = b"\x10\x00key", b"\x10\x01delta"


def ingests(*names: str) -> dict[str, Ingest]:
    made = {name: Ingest("video", {96: Codec("vp8", 90000), 97: Codec("h264/42e0", 90000)}, {}) for name in names}
    return {**made, "audio": Ingest("audio", {111: Codec("opus", 48000)}, {})}


def seat(wish: Layer = Layer.MAIN, kind: str = "video", numbers: dict[str, int] | None = None, **more: bool) -> Seat:
    made = Seat(Leg(Plan(kind, 5, numbers or {"vp8": 100, "opus": 101}, {}, 10, 20), "viewer"), wish, **more)
    made.ready = True
    return made


def packet(sequence: int, payload: bytes = DELTA, kind: int = 96) -> Packet:
    return Packet(kind, True, sequence, sequence * 3000, 9, payload)


def settle(stream: Stream, now: float) -> list[str]:
    """Settle and move who can; returns where the seats are now."""
    for one in stream.settle(now):
        if one.due(now):
            one.move(now)
    return ["-" if one.strand is None else one.strand.name for one in stream.seats]


def watched(*seats: Seat, layers: tuple[str, ...] = ("main", "thumb")) -> Stream:
    stream = Stream("320623/room")
    stream.set_source("camera", ingests(*layers))
    for one in seats:
        stream.seat(one)
    return stream


def test_everybody_sits_where_the_wished_layer_arrives() -> None:
    stream = watched(seat(), seat(Layer.THUMB), seat(kind="audio"))
    assert settle(stream, 0.0) == ["main", "thumb", "audio"]
    stream.packets("main", [packet(1, KEY)], 0.1)
    stream.tick(0.1)
    assert stream.unsettled
    assert settle(stream, 0.1) == ["main", "main", "audio"], "the main picture until there is a thumb"
    stream.packets("thumb", [packet(1)], 0.2)
    stream.tick(0.2)
    assert settle(stream, 0.2) == ["main", "main", "audio"], "it has no key frame yet"
    stream.packets("thumb", [packet(2, KEY)], 0.3)
    assert settle(stream, 0.3) == ["main", "thumb", "audio"]
    stream.packets("thumb", [packet(3)], 3.0)
    stream.tick(3.0)
    assert settle(stream, 3.0) == ["thumb", "thumb", "audio"], "the main picture stopped"


def test_a_relays_layers_are_never_mixed() -> None:
    stream = watched(seat(exact=True), seat(Layer.THUMB, exact=True))
    stream.packets("main", [packet(1, KEY)], 0.1)
    stream.tick(0.1)
    assert settle(stream, 0.1) == ["main", "thumb"]


def test_a_layer_that_the_viewer_can_read_is_taken_first() -> None:
    stream = watched(seat(numbers={"vp8": 100}))
    stream.packets("main", [packet(1, b"\x65key", 97)], 0.1)
    stream.tick(0.1)
    assert settle(stream, 0.1) == ["main"]
    assert stream.seats[0].showing(0.1) is Showing.CODEC
    stream.packets("thumb", [packet(1, KEY)], 0.2)
    stream.tick(0.2)
    assert settle(stream, 0.2) == ["thumb"]
    assert stream.seats[0].showing(0.2) is Showing.THUMB


def test_what_the_source_shall_send() -> None:
    big, small, relay = seat(), seat(Layer.THUMB), seat(exact=True, counts=False)
    stream = watched(relay)
    assert stream.wanted() == frozenset(), "a relay asks for nothing by itself"
    stream.seat(small)
    settle(stream, 0.0)
    assert stream.wanted() == {Layer.THUMB}
    stream.packets("main", [packet(1, KEY)], 0.1)
    settle(stream, 0.1)
    assert stream.wanted() == {Layer.MAIN, Layer.THUMB}, "what it sees until the other comes"
    stream.unseat(small)
    stream.seat(big)
    big.limit = Showing.THUMB
    assert stream.wanted() == {Layer.THUMB}
    big.limit = Showing.SAVED
    assert stream.wanted() == frozenset()
    single = watched(seat(Layer.THUMB), layers=("main",))
    assert single.wanted() == {Layer.MAIN}, "a source of one layer is asked for that one"


def test_seats_outlive_the_source() -> None:
    stream = watched(seat(), layers=("main",))
    settle(stream, 0.0)
    assert len(stream.packets("main", [packet(1, KEY)], 0.1)) == 1
    stream.drop_source()
    assert not stream.idle
    assert stream.key_frame() is None
    stream.set_source("camera again", ingests("main"))
    settle(stream, 9.0)
    assert len(stream.packets("main", [packet(30000, KEY)], 9.0)) == 1
    assert stream.totals.packets_in == 1
    stream.drop_source()
    (one,) = stream.seats
    stream.unseat(one)
    assert not stream.idle, "it is still shown"
    one.rise()
    assert stream.idle
    assert stream.strands["main"].packets_out == 2


def test_states() -> None:
    stream = Stream("s")
    assert not stream.tick(0.0)
    stream.set_source("camera", ingests("main"))
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


def test_stills_come_from_the_layer_that_has_the_newest_key_frame() -> None:
    stream = watched()
    stream.packets("thumb", [packet(1, KEY)], 0.1)
    frame = stream.key_frame()
    assert frame is not None
    assert frame.at == 0.1
    assert stream.wish(0.1) is stream.strands["thumb"].wish
    stream.packets("main", [packet(1, KEY)], 0.2)
    newer = stream.key_frame()
    assert newer is not None
    assert newer.at == 0.2
    assert stream.wish(0.2) is stream.strands["main"].wish


def test_a_join_is_finished_by_and_by() -> None:
    stream = watched(seat())
    for number in range(60):
        stream.packets("main", [packet(number, KEY if number == 0 else DELTA)], number / 60)
    settle(stream, 1.0)
    assert stream.catching
    parts = 0
    while stream.catching:
        parts += len(stream.catch_up(1.0))
    assert parts == 3


def test_a_tick_is_wanted_at_once_where_packets_change_something_and_else_not() -> None:
    stream = watched(seat())
    assert stream.restless, "a source has come"
    stream.packets("main", [packet(1, KEY)], 0.1)
    stream.first_picture()
    stream.tick(0.1)
    stream.packets("main", [packet(2)], 0.2)
    assert not stream.restless
    assert stream.troubled() == []
    stream.packets("thumb", [packet(1, KEY)], 0.3)
    assert stream.restless, "another layer arrives"
    stream.tick(0.3)
    stream.packets("main", [packet(3, kind=97)], 0.4)
    assert stream.restless, "another codec"
    stream.tick(0.4)
    stream.packets("main", [packet(5)], 0.5 + STALLED_AFTER_S)
    assert stream.restless, "it goes on after a silence"
    assert stream.troubled() == [stream.strands["main"]], "packet 4 is missing"


def test_a_wish_for_a_key_frame_is_seen_until_it_is_sent() -> None:
    stream = Stream("s")
    stream.tick(0.0)
    assert not stream.wishing
    stream.strands["thumb"].wish.ask()
    assert stream.wishing
    assert stream.strands["thumb"].wish.due(1.0)
    assert not stream.wishing
