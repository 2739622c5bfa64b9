"""RTP, against aiortc's own reader and against rubbish."""

import pytest
from aiortc import rtp as other
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.malformed import MalformedError

WORD = st.integers(0, 0xFFFFFFFF)


@given(
    st.integers(0, 127), st.integers(0, 0xFFFF), WORD, WORD, st.booleans(), st.binary(min_size=1, max_size=1200),
    st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=4),
)  # fmt: skip
def test_what_is_built_is_read_again(
    number: int, sequence: int, timestamp: int, ssrc: int, marker: bool, payload: bytes, elements: dict[int, bytes]
) -> None:
    block = rtp.extension_block(elements)
    datagram = rtp.header(number, sequence, timestamp, ssrc, marker=marker, block=block) + payload
    read = rtp.parse(datagram)
    assert read[:6] == (number, marker, sequence, timestamp, ssrc, payload)
    assert read.extensions == elements


def test_aiortc_reads_ours_and_we_read_aiortcs() -> None:
    known = other.HeaderExtensionsMap()
    known._HeaderExtensionsMap__ids.mid = 3
    datagram = rtp.header(96, 7, 8, 9, marker=True, block=rtp.extension_block({3: b"v0"})) + b"payload"
    theirs = other.RtpPacket.parse(datagram, known)
    assert (theirs.payload_type, theirs.sequence_number, theirs.timestamp, theirs.ssrc) == (96, 7, 8, 9)
    assert (theirs.payload, theirs.extensions.mid, theirs.marker) == (b"payload", "v0", 1)
    theirs.csrc, theirs.padding_size = [1, 2], 5
    ours = rtp.parse(theirs.serialize(known))
    assert (ours.payload, ours.extensions) == (b"payload", {3: b"v0"})


def test_a_probe_keeps_its_place_and_carries_nothing() -> None:
    datagram = rtp.probe(rtp.header(96, 7, 8, 9, marker=False, block=rtp.extension_block({1: b"0"})))
    ours, theirs = rtp.parse(datagram), other.RtpPacket.parse(datagram)
    assert ours.payload == theirs.payload == b""
    assert ours.sequence == theirs.sequence_number == 7


def test_two_byte_extensions_are_read() -> None:
    datagram = b"\x90\x60\x00\x01" + bytes(8) + b"\x10\x00\x00\x01" + b"\x05\x01z\x00" + b"rest"
    assert rtp.parse(datagram).extensions == {5: b"z"}


def test_what_is_cut_off_of_the_extensions_ends_their_reading() -> None:
    datagram = b"\x90" + bytes(11) + b"\xbe\xde\x00\x02" + b"\x10a\x00\x00\x2fabc" + b"rest"
    assert (rtp.parse(datagram).extensions, rtp.parse(datagram).payload) == ({1: b"a"}, b"rest")


@given(
    st.dictionaries(st.integers(1, 13), st.binary(min_size=1, max_size=16), max_size=4),
    st.binary(min_size=2, max_size=2),
)
def test_a_counted_block_lacks_the_number_alone(elements: dict[int, bytes], number: bytes) -> None:
    block = rtp.counted_block(elements, 14) + number
    assert len(block) % 4 == 0
    assert rtp.elements(block) == elements | {14: number}


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(11),
        b"\x8f" + bytes(11),
        b"\x90" + bytes(13),
        b"\x90" + bytes(11) + b"\xbe\xde\x00\x09",
        b"\xa0" + bytes(11) + b"\x00",
        b"\xa0" + bytes(11) + b"\xff",
    ],
)
def test_rubbish_is_malformed(datagram: bytes) -> None:
    with pytest.raises(MalformedError):
        rtp.parse(datagram)


@given(st.binary(max_size=64))
def test_any_bytes_parse_or_are_malformed(data: bytes) -> None:
    for first in (0x80, 0x90, 0xB0, 0x9F):
        try:
            rtp.parse(bytes([first]) + data).extensions  # noqa: B018 - read for what it may raise
        except MalformedError:
            continue


@given(st.lists(st.integers(-200, 200), max_size=300))
def test_unwrapping_follows_every_small_step(steps: list[int]) -> None:
    unwrapper = rtp.Unwrapper(16)
    place = 70000
    first = unwrapper.unwrap(place & 0xFFFF)
    highest = place
    for step in steps:
        value = highest + step
        assert unwrapper.unwrap(value & 0xFFFF) - first == value - place
        highest = max(highest, value)


def test_rtcp_is_told_from_rtp() -> None:
    assert rtp.is_rtcp(b"\x80\xc8")
    assert not rtp.is_rtcp(b"\x80\x60")
    assert not rtp.is_rtcp(b"\x80\xe0"), "payload type 96 with marker"
