"""A viewer's leg: its stream of numbers and times never breaks, whatever happens to the source."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import leg as rule
from gateway.adapters.media_embedded.rules import rtp, vp8
from gateway.adapters.media_embedded.rules.gop import Gop
from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.repair import TWICE_FROM, Rtx
from gateway.adapters.media_embedded.rules.ring import Sent
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.run import Run
from gateway.adapters.media_embedded.rules.transport import Transport

NUMBERS = {"h264": 102, "h264/42e0": 106, "vp8": 96}


def plan(kind: str = "video") -> Plan:
    return Plan(kind, 77, dict(NUMBERS), {4: b"0"}, 65000, 0xFFFFF000)


def media(
    number: int, *, frame: int | None = None, key: bool = False, codec: str = "h264/42e0", generation: int = 1
) -> Media:
    stamp = (number if frame is None else frame) * 6000
    return Media(generation, number, codec, True, stamp & 0xFFFFFFFF, b"payload %d" % number, key, number / 15)


def read(sent: list[Sent]) -> list[rtp.Packet]:
    return [rtp.parse(head + payload) for _, head, payload in sent]


class Bench:
    """A leg with its group of pictures and a clock."""

    def __init__(self, kind: str = "video") -> None:
        self.leg, self.gop, self.sent = Leg(plan(kind), "viewer"), Gop(), []

    def feed(self, packet: Media, *, source: int = 1, now: float | None = None) -> list[rtp.Packet]:
        self.gop.add(packet)
        got = read(self.leg.take(Run([packet]), self.gop, source, packet.at if now is None else now))
        self.sent += got
        return got

    def finish(self, now: float) -> None:
        while self.leg.catching_up:
            self.sent += read(self.leg.due(self.gop, now))

    def numbers(self) -> list[int]:
        unwrapper = rtp.Unwrapper(16)
        return [unwrapper.unwrap(packet.sequence) for packet in self.sent]


@pytest.mark.parametrize("wide", [0, 5])
def test_sound_bears_the_loudness_that_its_source_told(wide: int) -> None:
    agreed = replace(plan("audio"), level_extension=2, transport_extension=wide, payload_types={"opus": 111})
    heard, deaf = Leg(agreed, "viewer", Transport(0)), Leg(replace(agreed, level_extension=0), "other", Transport(0))
    told = [0x80 | 30, 30, -1, 127, 30, 30]
    sounds = [media(number, codec="opus")._replace(loudness=loud) for number, loud in enumerate(told)]
    sent = [
        one
        for part in (sounds[:1], sounds[1:3], sounds[3:4], sounds[4:])
        for one in heard.take(Run(part), Gop(), 1, 0.0)
    ]
    packets = read(sent)
    assert [packet.extensions.get(2) for packet in packets] == [bytes([b]) if b >= 0 else None for b in told]
    assert {packet.extensions[4] for packet in packets} == {b"0"}
    assert len({len(head) for _, head, _ in sent}) == 1, "equal heads, so that packets can go together"
    if wide:
        assert [packet.extensions[wide] for packet in packets] == [bytes([0, n]) for n in range(6)]
    others = read(deaf.take(Run(sounds), Gop(), 1, 0.0))
    assert not any(2 in packet.extensions for packet in others)


def test_a_viewer_waits_for_a_key_frame_and_has_its_own_header() -> None:
    bench = Bench()
    assert bench.feed(media(1)) == []
    assert bench.leg.starved
    (first,) = bench.feed(media(2, key=True))
    assert not bench.leg.starved
    assert (first.ssrc, first.sequence, first.payload_type, first.extensions) == (77, 65000, 106, {4: b"0"})
    assert bench.feed(media(3))[0].sequence == 65001


def test_a_join_gets_the_kept_group_in_order_squeezed_and_then_lives() -> None:
    gop, leg = Gop(), Leg(plan(), "viewer")
    for number in range(200):
        gop.add(media(number, key=number == 0))
    sent = read(leg.join(gop, 1, 20.0))
    assert len(sent) == rule.FIRST_BURST
    gop.add(media(200))
    assert leg.take(Run([media(200)]), gop, 1, 20.0) == [], "what is new waits its turn"
    while leg.catching_up:
        batch = leg.due(gop, 20.0)
        assert len(batch) <= rule.BURST
        sent += read(batch)
    gop.add(media(201))
    sent += read(leg.take(Run([media(201)]), gop, 1, 20.1))
    assert [packet.payload for packet in sent] == [b"payload %d" % number for number in range(202)]
    steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(sent[:201])}
    assert steps == {90}, "one millisecond apart"
    assert (sent[201].timestamp - sent[200].timestamp) & 0xFFFFFFFF == 6000, "then as the source says"


def test_a_newer_key_frame_shortens_the_way() -> None:
    bench = Bench()
    for number in range(100):
        bench.gop.add(media(number, key=number == 0))
    bench.sent += read(bench.leg.join(bench.gop, 1, 9.0))
    bench.gop.add(media(100, key=True))
    bench.finish(9.0)
    bench.feed(media(101))
    assert [p.payload for p in bench.sent[-2:]] == [b"payload 100", b"payload 101"]
    assert bench.numbers() == list(range(bench.numbers()[0], bench.numbers()[0] + len(bench.sent)))


def test_late_packets_keep_the_place_of_their_number() -> None:
    bench = Bench()
    bench.feed(media(10, key=True))
    bench.feed(media(12))
    (late,) = bench.feed(media(11))
    assert late.sequence == 65001
    assert bench.feed(media(9)) == [], "older than the leg"


def test_a_new_source_goes_on_without_a_break() -> None:
    bench = Bench()
    bench.feed(media(500, key=True), now=1.0)
    bench.feed(media(501), now=1.1)
    bench.gop.clear()
    assert bench.feed(media(90000, generation=1), source=2, now=5.1) == [], "waits for a key frame"
    assert bench.leg.starved
    (first,) = bench.feed(media(90001, key=True, codec="vp8"), source=2, now=5.1)
    assert (first.sequence, first.payload_type) == (65002, 96)
    assert (first.timestamp - bench.sent[1].timestamp) & 0xFFFFFFFF == pytest.approx(4 * 90000, abs=90)


def test_sound_goes_on_at_once() -> None:
    bench = Bench("audio")
    bench.leg.plan.payload_types["opus"] = 111
    bench.feed(media(5, codec="opus"), now=0.0)
    (first,) = bench.feed(media(8000, codec="opus"), source=2, now=1.0)
    assert first.sequence == 65001


def test_a_codec_that_was_not_offered_is_counted() -> None:
    bench = Bench()
    assert bench.feed(media(1, key=True, codec="av1")) == []
    assert bench.leg.dropped == {"codec_not_offered": 1}


def test_the_profile_decides_then_any_h264() -> None:
    leg = Leg(plan(), "viewer")
    assert leg.payload_type("h264/42e0") == 106
    assert leg.payload_type("h264/6400") == 102


def test_probes_pass_as_probes() -> None:
    bench = Bench()
    bench.feed(media(1, key=True))
    (probe,) = bench.feed(media(2)._replace(payload=b""))
    assert (probe.payload, probe.sequence) == (b"", 65001)


def test_nacks_are_answered_with_the_same_bytes() -> None:
    bench = Bench()
    bench.gop.add(media(1, key=True))
    (datagram,) = bench.leg.take(Run([media(1, key=True)]), bench.gop, 1, 0.0)
    assert bench.leg.resend((65000, 64999), None, 1.0) == [(77, [datagram])]
    assert bench.leg.resend((65000,), None, 1.01) == []
    assert bench.leg.dropped == {"nack_unanswered": 1, "nack_too_soon": 1}


def test_nacks_are_answered_by_rtx_where_it_was_agreed() -> None:
    transport = Transport()
    agreed = replace(plan(), rtx=Rtx(99, {106: 107}, 65535), transport_extension=3)
    leg, gop = Leg(agreed, "viewer", transport), Gop()
    for number in (1, 2):
        gop.add(media(number, key=number == 1))
        sent = leg.take(Run([media(number, key=number == 1)]), gop, 1, 0.0)
    while leg.catching_up:
        sent = leg.due(gop, 0.0)
    original = rtp.parse(sent[0][1] + sent[0][2])
    ((ssrc, again),) = leg.resend((65000, 65001), 0.02, 1.0)
    assert (ssrc, [number for number, _, _ in again]) == (99, [65535, 65536]), "the SRTP index counts its own rollovers"
    first, second = (rtp.parse(head + payload) for _, head, payload in again)
    assert (first.ssrc, first.payload_type, first.sequence, second.sequence) == (99, 107, 65535, 0)
    assert (second.payload, second.timestamp) == ((65001).to_bytes(2, "big") + original.payload, original.timestamp)
    assert (second.marker, second.extensions[4]) == (original.marker, b"0")
    assert [p.extensions[3] for p in (original, first, second)] == [b"\0\1", b"\0\2", b"\0\3"]
    assert transport.next == 4


def test_a_repetition_goes_out_twice_on_a_line_that_loses_much_and_the_share_holds_for_both() -> None:
    leg, gop = Leg(replace(plan(), rtx=Rtx(99, {106: 107}, 5)), "viewer", None), Gop()
    for number in range(1, 9):
        gop.add(media(number, key=number == 1))
        leg.take(Run([media(number, key=number == 1)]), gop, 1, 0.0)
    while leg.catching_up:
        leg.due(gop, 0.0)

    def repeated(sequence: int, lost: float | None) -> list[int]:
        return [number for _, sent in leg.resend((sequence,), 0.02, 1.0, lost=lost) for number, _, _ in sent]

    assert repeated(65000, None) == [5]
    assert repeated(65001, TWICE_FROM / 2) == [6]
    assert repeated(65002, TWICE_FROM) == [7, 8]
    leg._allowance._left = 1
    assert repeated(65003, 0.1) == [9], "both count towards what a leg repeats at most"
    assert repeated(65004, 0.1) == []
    assert leg.dropped == {"nack_too_many": 1}


def test_a_fresh_join_is_repeated_for_a_while() -> None:
    bench = Bench()
    bench.feed(media(1, key=True), now=10.0)
    bench.feed(media(2), now=10.1)
    assert [packet.sequence for packet in read(bench.leg.again(10.5))] == [65000, 65001]
    assert bench.leg.again(10.6) == []
    assert bench.leg.again(10.0 + rule.AGAIN_WITHIN_S + 1) == []


def test_picture_ids_go_on_over_a_switch() -> None:
    bench = Bench()
    old = media(1, key=True, codec="vp8")._replace(payload=b"\x90\xc0\x80\x07\x05\x00a")
    new = media(1, key=True, codec="vp8")._replace(payload=b"\x90\xc0\xff\xf0\x99\x00b")
    then = media(2, codec="vp8")._replace(payload=b"\x90\xc0\xff\xf1\x9a\x01c")
    bench.feed(old, now=0.0)
    bench.gop.clear()
    bench.feed(new, source=2, now=1.0)
    bench.feed(then, source=2, now=1.1)
    heads = [vp8.descriptor(packet.payload) for packet in bench.sent]
    assert [head.picture_id for head in heads] == [7, 8, 9]
    assert [packet.payload[4] for packet in bench.sent] == [5, 6, 7]


def test_reports_keep_picture_and_sound_together() -> None:
    bench = Bench()
    source = SenderInfo(1, 100 << 32, 6000, 0, 0)
    assert bench.leg.report(source, 1.0, 1.0) is None
    bench.feed(media(1, key=True), now=1.0)
    report = bench.leg.report(source, 1.0, 1.5)
    assert report is not None
    assert report.ntp == (100 << 32) + (1 << 31)
    assert (report.timestamp - bench.sent[0].timestamp) & 0xFFFFFFFF == 45000
    assert (report.packets, report.octets) == (1, len(b"payload 1"))


ACTION = st.one_of(
    st.tuples(st.just("packet"), st.integers(-3, 4), st.booleans()),
    st.tuples(st.just("switch"), st.integers(0, 60000), st.booleans()),
    st.tuples(st.just("due"), st.just(0), st.booleans()),
    st.tuples(st.just("join"), st.just(0), st.booleans()),
)


@given(st.lists(ACTION, max_size=150))
def test_one_number_has_one_content_and_no_number_is_left_out(actions: list[tuple[str, int, bool]]) -> None:
    """SRTP's nonce rule, over any mix of reordering, joins, bursts and changes of source."""
    gop, leg = Gop(), Leg(plan(), "viewer")
    contents: dict[int, Sent] = {}
    source, place, now = 1, 1000, 0.0
    seen: set[int] = set()
    for action, step, flag in actions:
        now += 0.01
        out: list[Sent] = []
        if action == "switch":
            source, place, seen = source + 1, 1000 + step, set()
            gop.clear()
        elif action == "due":
            out = leg.due(gop, now)
        elif action == "packet":
            number = place + step
            place = max(place, number)
            if number in seen:
                continue  # the ingest lets nothing through twice
            seen.add(number)
            packet = media(number, frame=number // 2, key=flag and number % 2 == 0, generation=1)
            gop.add(packet)
            out = leg.take(Run([packet]), gop, source, now)
        elif leg.starved:
            out = leg.join(gop, source, now)
        for sent, packet in zip(out, read(out), strict=True):
            assert sent[0] & 0xFFFF == packet.sequence
            assert contents.setdefault(sent[0], sent) == sent
    assert leg.dropped.get("repeated_number", 0) == 0


def test_what_a_former_source_lost_leaves_no_hole() -> None:
    """A viewer's buffer would wait for those numbers, and nobody can send them any more."""
    bench = Bench()
    for packet in (media(1, key=True), media(2), media(5)):
        bench.feed(packet)
    bench.finish(1.0)
    bench.feed(media(900, key=True, generation=2), source=2, now=2.0)
    bench.finish(2.0)
    numbers = bench.numbers()
    assert sorted(numbers) == list(range(min(numbers), max(numbers) + 1))
    fillers = [packet for packet in bench.sent if not packet.payload]
    assert [packet.sequence for packet in fillers] == [65002, 65003]
    assert {packet.timestamp for packet in fillers} == {bench.sent[1].timestamp}, "of the frame before the hole"
    assert bench.leg.resend((65002,), None, 2.0) != []
    bench.feed(media(901, key=True, generation=3), source=3, now=3.0)
    assert len([packet for packet in bench.sent if not packet.payload]) == 2, "closed once"


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_leg_that_left_goes_on_elsewhere_without_a_hole(kind: str) -> None:
    bench = Bench(kind)
    bench.feed(media(1, key=kind == "video"))
    bench.feed(media(2))
    bench.finish(1.0)
    bench.leg.leave()
    assert bench.leg.starved is (kind == "video")
    bench.feed(media(9000, key=kind == "video"))
    bench.feed(media(9001))
    bench.finish(30.0)
    numbers = bench.numbers()
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    assert bench.sent[-1].payload.endswith(b"9001")


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 12), st.booleans()), max_size=20),
    st.booleans(),
)
def test_runs_are_sent_as_packets_one_by_one(steps: list[tuple[int, int, bool]], counted: bool) -> None:
    """The short way of plain runs, against the long one: same numbers, times, headers, contents."""
    own = replace(plan(), transport_extension=5 if counted else 0)
    whole, singly = (Leg(own, "viewer", Transport(65530)) for _ in range(2))
    gop, number = Gop(), 65400
    for packet in (media(65399, key=True, codec="vp8"), media(65400, codec="vp8")):
        gop.add(packet)
        for leg in (whole, singly):
            leg.take(Run([packet]), gop, 1, 0.0)
    for place, (gap, count, frames) in enumerate(steps):
        numbers = range(number + gap, number + gap + count)
        number = numbers[-1]
        batch = [media(one, frame=one if frames else place, codec="vp8") for one in numbers]
        for packet in batch:
            gop.add(packet)
        now = 1.0 + place / 25
        got = [sent for packet in batch for sent in singly.take(Run([packet]), gop, 1, now)]
        assert list(whole.take(Run(batch), gop, 1, now)) == got
    assert (whole.packets, whole.octets, whole.dropped) == (singly.packets, singly.octets, singly.dropped)
    source = SenderInfo(1, 1 << 32, 6000, 0, 0)
    assert whole.report(source, 3.0, 3.0) == singly.report(source, 3.0, 3.0)
