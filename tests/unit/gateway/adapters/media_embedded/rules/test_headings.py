"""Heads that are compared say what heads that are read say."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.demux import MAX_LEARNED, Demux
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.headings import KEPT, NONE, Headings
from gateway.adapters.media_embedded.rules.ingest import Codec

MID, COUNTED = 1, 3


def demux() -> Demux:
    tracks = [
        Track("video", "0", MID, {96: Codec("vp8", 90000)}, {97: 96}, 1, announced=(70,), name="main"),
        Track("video", "1", MID, {96: Codec("vp8", 90000)}, {97: 96}, 2, name="thumb"),
        Track("audio", "2", MID, {111: Codec("opus", 48000)}, {}, 3, name="audio"),
    ]
    return Demux(tracks)


def packet(payload_type: int, ssrc: int, block: bytes) -> rtp.Packet:
    return rtp.Packet(payload_type, False, 1, 2, ssrc, b"x", block)


BLOCKS = st.one_of(
    st.builds(
        lambda mid, number, more: rtp.extension_block(
            ({MID: mid} if mid else {}) | ({COUNTED: number.to_bytes(2, "big")} if number >= 0 else {}) | more
        ),
        st.sampled_from([b"", b"0", b"1", b"2", b"9"]),
        st.one_of(st.integers(-1, 0xFFFF), st.sampled_from([0x3131, 0x3031, 0x1031])),
        st.sampled_from([{}, {5: b"\x31\x31\x31"}, {2: b"\x31"}, {7: b"abc"}]),
    ),
    st.binary(max_size=24),
    st.binary(max_size=16).map(lambda tail: b"\xbe\xde\0\4" + tail),
)


@given(st.lists(st.tuples(st.sampled_from([96, 97, 111, 5]), st.integers(69, 73), BLOCKS), max_size=60))
def test_every_head_is_read_alike(script: list[tuple[int, int, bytes]]) -> None:
    headings, plain = Headings(demux(), COUNTED), demux()
    for payload_type, ssrc, block in [*script, *script]:
        one = packet(payload_type, ssrc, block)
        extensions = rtp.elements(block)
        value = extensions.get(COUNTED, b"")
        number = value[0] << 8 | value[1] if len(value) == 2 else NONE
        assert headings.read(one) == (plain.track_of(one, extensions) or "", number)


def test_a_track_that_is_learned_later_is_followed() -> None:
    headings = Headings(demux(), COUNTED)
    bare = rtp.extension_block({COUNTED: b"\0\1"})
    named = rtp.extension_block({MID: b"1", COUNTED: b"\0\2"})
    assert headings.read(packet(96, 71, bare)) == ("", 1)
    assert headings.read(packet(96, 71, named)) == ("thumb", 2)
    assert headings.read(packet(96, 71, bare)) == ("thumb", 1)


def test_what_is_remembered_is_bounded() -> None:
    headings = Headings(demux(), COUNTED)
    for ssrc in range(200, 200 + KEPT + MAX_LEARNED + 5):
        assert headings.read(packet(111, ssrc, rtp.extension_block({COUNTED: b"\0\7"}))) == ("audio", 7)
    assert len(headings._known) <= KEPT


@given(
    st.lists(st.tuples(st.sampled_from([96, 97, 111, 5]), st.integers(69, 73), BLOCKS), max_size=30),
    st.integers(0, 0xFFFF),
)
def test_what_has_the_same_pattern_is_read_alike(script: list[tuple[int, int, bytes]], number: int) -> None:
    headings, patterns = Headings(demux(), COUNTED), []
    for payload_type, ssrc, block in script:
        one = packet(payload_type, ssrc, block)
        said = headings.read(one)
        pattern = headings.pattern(one)
        if pattern is None:
            continue
        assert (pattern[0], pattern[1] > 0) == (said[0], said[1] != NONE)
        patterns.append((one, pattern))
    for one, (track, at) in patterns:
        block = one.block if not at else one.block[:at] + number.to_bytes(2, "big") + one.block[at + 2 :]
        assert headings.read(one._replace(block=block)) == (track, number if at else NONE)


def test_a_track_that_is_told_by_its_type_alone_has_no_pattern() -> None:
    headings = Headings(demux(), COUNTED)
    one, other = packet(111, 99, b""), packet(96, 70, b"")
    assert (headings.read(one), headings.read(other)) == (("audio", NONE), ("main", NONE))
    assert (headings.pattern(one), headings.pattern(other)) == (None, ("main", 0))
    assert headings.pattern(packet(96, 70, b"unread")) is None
