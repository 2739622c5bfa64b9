"""One incoming track: every packet leaves once, gaps are asked for, losses are told."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import ingest as rule
from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest
from gateway.adapters.media_embedded.rules.pin import QUIET_S, STEADY
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.rtp import Packet
from tests.unit.gateway.adapters.media_embedded.rules.test_rows import PACKETS, steady

VP8, RTX = 96, 97
KEY, DELTA = b"\x10\x00key", b"\x10\x01delta"


def video() -> Ingest:
    return Ingest("video", {VP8: Codec("vp8", 90000)}, {RTX: VP8})


def packet(sequence: int, payload: bytes = DELTA, *, ssrc: int = 1, kind: int = VP8, timestamp: int = 0) -> Packet:
    return Packet(kind, True, sequence & 0xFFFF, timestamp, ssrc, payload)


def repair(sequence: int, payload: bytes = DELTA) -> Packet:
    return packet(9000, sequence.to_bytes(2, "big") + payload, ssrc=2, kind=RTX)


def test_a_retransmission_fills_its_gap_and_a_probe_ends_here() -> None:
    track = video()
    assert track.receive(packet(10), 0.0) is not None
    assert track.receive(packet(12), 0.0) is not None
    came = track.receive(repair(11), 0.1)
    assert came is not None
    assert came.payload == DELTA
    assert track.receive(repair(11), 0.1) is None, "Chromium probes by repeating real packets"
    assert track.receive(packet(10), 0.1) is None
    assert track.receive(packet(9, b"", kind=RTX), 0.1) is None
    assert track.counters.dropped == {"duplicate": 2, "probe": 1}


def test_what_is_empty_belongs_to_the_frame_before_it() -> None:
    track = video()
    track.receive(packet(1, KEY, timestamp=1000), 0.0)
    empty = track.receive(packet(2, b"", timestamp=5000), 0.0)
    assert empty is not None
    assert (empty.timestamp, empty.marker, empty.payload) == (1000, False, b"")
    track.receive(packet(5, timestamp=2000), 0.0)
    late = track.receive(packet(4, b"", timestamp=7000), 0.0)
    assert late is not None
    assert late.timestamp == 1000
    track.missing(rule.GIVE_UP_S + 0.1)
    assert [filler.timestamp for filler in track.given_up()] == [1000]


def test_gaps_are_asked_for_again_and_then_given_up() -> None:
    track = video()
    track.receive(packet(65534), 0.0)
    track.receive(packet(1), 0.0)
    assert track.missing(0.005) == [], "reordering is given a moment"
    assert track.missing(0.02) == [65535, 0]
    assert track.missing(0.03) == []
    assert track.missing(0.12) == [65535, 0]
    track.receive(packet(65535), 0.15)
    assert track.missing(0.3) == [0]
    assert track.missing(rule.GIVE_UP_S + 0.1) == []
    assert (track.counters.lost, track.damaged) == (1, True)
    (filler,) = track.given_up()
    assert (filler.number & 0xFFFF, filler.payload, track.given_up()) == (0, b"", [])
    assert track.receive(packet(0), 1.0) is None, "too late to be of use"
    track.receive(packet(2, KEY, timestamp=5), 1.1)
    assert not track.damaged


def test_slow_answers_are_asked_for_less_often() -> None:
    track, now, asked = video(), 0.0, 0
    for number in range(40):
        track.receive(packet(2 * number), now)
        for _ in range(15):
            now += 0.02
            asked += len(track.missing(now))
        track.receive(packet(2 * number + 1), now)
        track.receive(packet(2 * number - 1), now)
    assert asked < 40 * 3


def test_sound_is_not_asked_for_again() -> None:
    track = Ingest("audio", {111: Codec("opus", 48000)}, {})
    track.receive(packet(1, kind=111), 0.0)
    track.receive(packet(3, kind=111), 0.0)
    assert track.missing(0.1) == []
    track.missing(2.0)
    assert track.counters.lost == 1


def test_a_jump_or_another_ssrc_begins_a_new_generation() -> None:
    track = video()
    first = track.receive(packet(10), 0.0)
    jumped = track.receive(packet(30000), 0.1)
    others = [track.receive(packet(40 + number, ssrc=5), 0.1 + QUIET_S + number / 100) for number in range(STEADY)]
    other = others[-1]
    assert first is not None
    assert jumped is not None
    assert other is not None
    assert others[:-1] == [None] * (STEADY - 1)
    assert first.generation < jumped.generation < other.generation
    assert track.counters.lost == 0


def test_strays_are_counted_and_neither_forwarded_nor_taken_for_a_sign_of_life() -> None:
    track = Ingest("video", {VP8: Codec("vp8", 90000)}, {RTX: VP8}, (1,), (2,))
    assert track.receive(packet(10), 0.0) is not None
    assert track.receive(packet(12), 0.0) is not None
    assert track.receive(packet(500, KEY, ssrc=7), 0.1) is None
    assert track.receive(Packet(RTX, True, 1, 0, 7, b"\x00\x0bstray"), 0.1) is None
    assert (track.ssrc, track.generation, track.last_at) == (1, 1, 0.0)
    came = track.receive(repair(11), 0.2)
    assert came is not None
    assert came.payload == DELTA
    assert track.counters.dropped == {"foreign_ssrc": 2}


def test_unknown_payload_types_are_counted() -> None:
    track = video()
    assert track.receive(packet(1, kind=35), 0.0) is None
    assert track.counters.dropped == {"unknown_payload_type": 1}


def test_frames_key_frames_and_rate() -> None:
    track = video()
    for number in range(60):
        now = number / 15
        track.receive(packet(2 * number, KEY if number % 30 == 0 else DELTA, timestamp=number * 6000), now)
        track.receive(packet(2 * number + 1, DELTA, timestamp=number * 6000), now)
    counters, cadence = track.counters, track.cadence
    assert (cadence.frames, cadence.key_frames, cadence.key_interval_s) == (60, 2, 2.0)
    assert 14 <= cadence.rate(59 / 15) <= 16
    assert counters.frame_at == 59 / 15


def test_a_pause_of_the_picture_is_a_freeze() -> None:
    track = video()
    for number in range(40):
        track.receive(packet(number, timestamp=number * 3600), number / 25)
    track.receive(packet(40, timestamp=200_000), 39 / 25 + 1.0)
    assert (track.cadence.freezes, round(track.cadence.freeze_s, 2)) == (1, 1.0)


def test_loudness_is_heard_where_it_was_agreed() -> None:
    sound = Ingest("audio", {111: Codec("opus", 48000)}, {}, level_extension=4)
    deaf = Ingest("audio", {111: Codec("opus", 48000)}, {})
    for number in range(10):
        loud = Packet(111, False, number, number * 960, 1, b"opus", rtp.extension_block({4: b"\x94"}))
        assert sound.receive(loud, number * 0.02) is not None
        assert deaf.receive(loud, number * 0.02) is not None
    assert sound.meter.newest == 20
    assert (sound.meter.level(0.2) or 0.0) > 0.05
    assert deaf.meter.level(0.2) is None


def test_reports_tell_loss_and_echo_the_senders_report() -> None:
    track = video()
    assert track.report(0.0) is None
    for sequence in (65530, 65531, 65534, 65535, 0):
        track.receive(packet(sequence), 0.0)
    assert track.heard(SenderInfo(1, 0x0000_1111_2222_0000, 0, 0, 0), 1.0)
    assert not track.heard(SenderInfo(99, 0, 0, 0, 0), 1.0)
    report = track.report(1.5)
    assert report is not None
    assert (report.ssrc, report.total_lost, report.fraction_lost) == (1, 2, 2 * 256 // 7)
    assert report.highest == 0x10000, "the cycle count stands above the sequence number"
    assert (report.last_sr, report.delay) == (0x1111_2222, 32768)
    again = track.report(2.0)
    assert again is not None
    assert (again.fraction_lost, again.total_lost) == (0, 2)


@given(st.lists(st.integers(0, 400), max_size=300), st.integers(0, 0xFFFF))
def test_every_packet_leaves_at_most_once(order: list[int], start: int) -> None:
    track = video()
    left = []
    for place, offset in enumerate(order):
        media = track.receive(packet(start + offset, offset.to_bytes(2, "big")), place / 100)
        track.missing(place / 100)
        if media is not None:
            left.append((media.generation, media.number))
            assert media.payload == offset.to_bytes(2, "big")
    assert len(left) == len(set(left))


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.sampled_from([VP8, RTX, 33]), st.binary(max_size=8)), max_size=200)
)
def test_any_packets_are_taken_within_bounds(packets: list[tuple[int, int, bytes]]) -> None:
    track = video()
    for place, (sequence, kind, payload) in enumerate(packets):
        track.receive(packet(sequence, payload, kind=kind, ssrc=1 + place % 3 % 2), place / 1000)
        assert len(track._missing) <= rule.WINDOW
        track.report(place / 1000)


@given(
    st.lists(st.tuples(st.integers(-4, 6), st.integers(0, 2), st.booleans()), min_size=1, max_size=80),
    st.integers(1, 9),
)
def test_batches_are_taken_as_packets_one_by_one(steps: list[tuple[int, int, bool]], size: int) -> None:
    """The short way of what is expected next, against the long one."""
    packets, sequence, timestamp = [], 65500, 0
    for step, later, key in steps:
        sequence += step
        timestamp += later * 3000
        payload = b"" if step == 6 else (KEY if key else DELTA)
        packets.append(packet(sequence, payload, timestamp=timestamp, ssrc=1 if step > -4 else 2))
    whole, singly = video(), video()
    for at in range(0, len(packets), size):
        batch, now = packets[at : at + size], at / 50
        went_on = [media for one in batch if (media := singly.receive(one, now)) is not None]
        assert whole.take(batch, now) == went_on
        assert whole.missing(now) == singly.missing(now)
    assert whole.counters == singly.counters
    assert whole.report(9.0) == singly.report(9.0)
    assert whole.cadence.frames == singly.cadence.frames


@given(st.lists(PACKETS, max_size=5), st.sampled_from(["video", "audio"]))
def test_what_follows_on_is_taken_as_packet_by_packet(runs: list[list[tuple[int, bool, bytes]]], kind: str) -> None:
    one, other = (Ingest(kind, {VP8: Codec("opus" if kind == "audio" else "av2", 90000)}, {}) for _ in range(2))
    assert one.steady() is None
    for track in (one, other):
        track.receive(packet(65530), 1.0)
    now = 1.0
    for run in runs:
        now += 0.04
        said = one.steady()
        assert said is not None
        ssrc, last, payload_type, codec = said
        assert one.follow(steady(run, last + 1), now) == (1, codec)
        packets = [Packet(payload_type, marker, last + place & 0xFFFF, timestamp, ssrc, payload)
                   for place, (timestamp, marker, payload) in enumerate(run, 1)]  # fmt: skip
        assert [media.number for media in other.take(packets, now)] == [
            last + place for place in range(1, len(run) + 1)
        ]
        assert state(one) == state(other)


def state(track: Ingest) -> dict[str, object]:
    apart = {"_unwrap", "_pin", "cadence", "meter", "_codecs", "_starts_key_frame"}
    kept = {name: value for name, value in vars(track).items() if name not in apart}
    return kept | {"cadence": vars(track.cadence), "last": track._unwrap.last, "pin": vars(track._pin)}


def test_loudness_is_read_packet_by_packet() -> None:
    track = Ingest("audio", {VP8: Codec("opus", 48000)}, {}, level_extension=4)
    track.receive(packet(1), 0.0)
    assert track.steady() is None
