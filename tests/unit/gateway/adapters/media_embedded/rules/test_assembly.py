"""Frames come out whole and in order; after a hole nothing comes until a key frame whose head is there."""

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.assembly import AHEAD, MAX_OCTETS, WAIT_S, Assembler, Frame
from gateway.adapters.media_embedded.rules.h264 import START_CODE
from gateway.adapters.media_embedded.rules.tapping import AUDIO, VIDEO, Record

SPS, PPS, IDR, SLICE = b"\x67sps", b"\x68pps", b"\x65idr", b"\x41delta"
GROUP = 5


def record(
    number: int, payload: bytes, *, timestamp: int, marker: bool = True, key: bool = False, lost: bool = False,
    codec: str = "h264", generation: int = 1,
) -> Record:  # fmt: skip
    track = AUDIO if codec == "opus" else VIDEO
    return Record(track, codec, marker, key, lost, False, generation, number, timestamp, number / 100, payload)


def group(first: int, *, generation: int = 1) -> list[Record]:
    """A key frame of three packets and four frames of one packet."""
    start = [
        record(first, SPS, timestamp=first, marker=False, key=True, generation=generation),
        record(first + 1, PPS, timestamp=first, marker=False, generation=generation),
        record(first + 2, IDR, timestamp=first, key=True, generation=generation),
    ]
    return start + [record(first + 2 + n, SLICE, timestamp=first + n, generation=generation) for n in range(1, GROUP)]


def feed(assembler: Assembler, records: list[Record]) -> list[Frame]:
    return [frame for one in records for frame in assembler.feed(one)]


def test_a_group_comes_out_as_access_units() -> None:
    frames = feed(Assembler(VIDEO), group(10))
    assert [frame.key for frame in frames] == [True, False, False, False, False]
    assert frames[0].data == START_CODE + SPS + START_CODE + PPS + START_CODE + IDR
    assert frames[1].data == START_CODE + SLICE


@given(st.integers(0, 2**31))
def test_order_of_arrival_does_not_matter_within_the_bound(seed: int) -> None:
    records = group(10) + group(17) + group(24)
    dice = random.Random(seed)
    shuffled = records[:1] + sorted(records[1:], key=lambda one: one.number + dice.uniform(0, 6))
    assert [f.data for f in feed(Assembler(VIDEO), shuffled)] == [f.data for f in feed(Assembler(VIDEO), records)]


def test_after_a_loss_nothing_comes_until_the_next_key_frame() -> None:
    assembler = Assembler(VIDEO)
    records = group(10) + group(17)
    records[4] = record(14, b"", timestamp=0, marker=False, lost=True)
    frames = feed(assembler, records)
    assert [frame.timestamp for frame in frames] == [10, 11, 17, 18, 19, 20, 21]
    assert (assembler.lost, assembler.left_out) == (1, 2)


def test_a_missing_packet_that_nobody_gives_up_is_waited_for_and_no_longer() -> None:
    assembler = Assembler(VIDEO)
    records = group(10) + group(17)
    del records[4]
    early = feed(assembler, records)
    assert [frame.timestamp for frame in early] == [10, 11]
    late = record(24, SLICE, timestamp=22)._replace(at=records[-1].at + WAIT_S + 1)
    assert [frame.timestamp for frame in assembler.feed(late)] == [17, 18, 19, 20, 21, 22]
    many = Assembler(VIDEO)
    feed(many, [record(1, SPS, timestamp=1, key=True)])
    assert feed(many, [record(n, SLICE, timestamp=n)._replace(at=0.5) for n in range(3, AHEAD + 5)]) == []
    assert many.lost == 1


def test_a_key_frame_without_its_head_is_none() -> None:
    assembler = Assembler(VIDEO)
    records = group(10) + group(17)
    records[7] = record(17, b"", timestamp=0, marker=False, lost=True)
    assert [frame.timestamp for frame in feed(assembler, records)] == [10, 11, 12, 13, 14]


def test_a_probe_fills_its_number_and_breaks_nothing() -> None:
    records = group(10)
    records.append(record(17, b"", timestamp=14))
    records += [one._replace(number=one.number + 1) for one in group(17)]
    assert len(feed(Assembler(VIDEO), records)) == 2 * GROUP


def test_another_source_begins_at_its_key_frame_and_the_former_one_is_over() -> None:
    assembler = Assembler(VIDEO)
    frames = feed(assembler, group(10)[:5] + group(900, generation=2)[4:] + group(907, generation=2))
    assert [(frame.generation, frame.timestamp) for frame in frames][:3] == [(1, 10), (1, 11), (1, 12)]
    assert [frame.key for frame in frames][3:] == [True, False, False, False, False]
    assert assembler.feed(group(17)[0]) == []


def test_a_picture_without_end_is_left_out_and_fills_no_memory() -> None:
    assembler = Assembler(VIDEO)
    octets = bytes([0x41]) + bytes(60_000)
    endless = MAX_OCTETS // len(octets) + 100
    frames = feed(assembler, group(10)[:3] + [
        record(13 + n, octets, timestamp=11, marker=False) for n in range(endless)
    ])  # fmt: skip
    assert [frame.timestamp for frame in frames] == [10]
    assert sum(len(part.payload) for part in assembler._parts) <= MAX_OCTETS
    assert feed(assembler, group(13 + endless))[0].timestamp == 13 + endless


def test_what_looks_like_a_key_frame_and_is_none_begins_nothing() -> None:
    """VP9 tells in its descriptor that no other picture is needed, which is true of intra-only frames too."""
    assembler = Assembler(VIDEO)
    key, intra, delta = b"\x0c\x82", b"\x0c\x86", b"\x4c\x86"
    frames = [
        (1, intra, True), (2, delta, False), (3, key, True), (4, delta, False), (5, intra, True),
        (6, b"\x48\x86", False),
    ]  # fmt: skip
    found = feed(assembler, [record(n, data, timestamp=n, key=key_, codec="vp9") for n, data, key_ in frames])
    assert [(frame.timestamp, frame.key) for frame in found] == [(3, True), (4, False), (5, False)]
    assert assembler.left_out == 3


def test_sound_has_no_key_frames_and_goes_on_over_a_hole() -> None:
    assembler = Assembler(AUDIO)
    records = [record(n, b"opus", timestamp=n * 960, codec="opus") for n in (1, 2, 4, 5)]
    assert len(feed(assembler, records)) == 2
    assert len(assembler.drain()) == 2
    assert assembler.lost == 1


@given(
    st.sampled_from(["h264", "h265", "vp8", "vp9", "av1", "other"]),
    st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=4), st.booleans(), st.booleans()), max_size=60),
)
def test_whatever_comes_it_never_fails_and_frames_keep_their_order(
    codec: str, told: list[tuple[int, bytes, bool, bool]]
) -> None:
    assembler = Assembler(VIDEO)
    for number, payload, marker, key in told:
        assembler.feed(record(number, payload, timestamp=number // 3, marker=marker, key=key, codec=codec))
    assembler.drain()
