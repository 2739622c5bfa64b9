"""RTCP, against aiortc's own reader and against rubbish."""

import pytest
from aiortc import rtp as other
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import rtcp
from gateway.adapters.media_embedded.rules.malformed import MalformedError

WORD = st.integers(0, 0xFFFFFFFF)
REPORTS = st.builds(rtcp.Report, WORD, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), WORD, WORD, WORD, WORD)


@given(WORD, st.lists(REPORTS, max_size=3))
def test_receiver_reports_are_read_again(ssrc: int, reports: list[rtcp.Report]) -> None:
    info = rtcp.ReceiverInfo(ssrc, tuple(reports))
    assert rtcp.parse(rtcp.receiver_report(info)) == [info]


@given(WORD, st.integers(0, 2**64 - 1), WORD, WORD, WORD)
def test_sender_reports_are_read_again(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int) -> None:
    info = rtcp.SenderInfo(ssrc, ntp, timestamp, packets, octets)
    compound = rtcp.sender_report(info) + rtcp.source_description(ssrc, "silian")
    assert rtcp.parse(compound) == [info]
    report, names = other.RtcpPacket.parse(compound)
    assert (report.ssrc, report.sender_info.ntp_timestamp) == (ssrc, ntp)
    assert names.chunks[0].items == [(1, b"silian")]


@given(WORD, WORD, st.integers(0, 0xFFFF), st.sets(st.integers(0, 400), min_size=1, max_size=60))
def test_nacks_name_exactly_what_is_missing(own: int, ssrc: int, first: int, offsets: set[int]) -> None:
    wanted = [(first + offset) & 0xFFFF for offset in sorted(offsets)]
    compound = rtcp.nack(own, ssrc, wanted)
    (read,) = rtcp.parse(compound)
    assert isinstance(read, rtcp.Nack)
    assert sorted(read.sequences) == sorted(wanted)
    (theirs,) = other.RtcpPacket.parse(compound)
    assert sorted(number & 0xFFFF for number in theirs.lost) == sorted(wanted)


def test_key_frame_requests() -> None:
    assert rtcp.parse(rtcp.picture_loss(1, 2)) == [rtcp.KeyFrameAsked(2)]
    assert rtcp.parse(rtcp.full_intra_request(1, 2, 300)) == [rtcp.KeyFrameAsked(2)]
    (theirs,) = other.RtcpPacket.parse(rtcp.picture_loss(1, 2))
    assert (theirs.fmt, theirs.media_ssrc) == (other.RTCP_PSFB_PLI, 2)


@given(st.integers(1000, 2**40))
def test_estimates_keep_eighteen_bits(bitrate: int) -> None:
    compound = rtcp.estimate(1, [2, 3], bitrate)
    (read,) = rtcp.parse(compound)
    assert isinstance(read, rtcp.Estimate)
    assert 0 <= bitrate - read.bitrate <= bitrate / 2**17
    (theirs,) = other.RtcpPacket.parse(compound)
    assert other.unpack_remb_fci(theirs.fci) == (read.bitrate, [2, 3])


def test_bye_and_unknown_types() -> None:
    unknown = b"\x80\xcc\x00\x01abcd"
    assert rtcp.parse(unknown + rtcp.bye(7)) == [rtcp.Bye((7,))]


def test_padding_is_cut() -> None:
    plain = rtcp.picture_loss(1, 2)
    padded = bytes([plain[0] | 0x20, plain[1], 0, 3]) + plain[4:] + b"\0\0\0\4"
    assert rtcp.parse(padded) == [rtcp.KeyFrameAsked(2)]


@pytest.mark.parametrize(
    "data", [b"\x80", b"\x00\xc8\x00\x00", b"\x80\xc8\x00\x09", b"\x80\xc8\x00\x00", b"\xa0\xcc\0\0"]
)
def test_rubbish_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        rtcp.parse(data)


@given(st.integers(0, 31), st.sampled_from([200, 201, 202, 203, 204, 205, 206]), st.binary(max_size=80))
def test_any_body_parses_or_is_malformed(count: int, kind: int, body: bytes) -> None:
    body += b"\0" * (-len(body) % 4)
    for first in (0x80, 0xA0):
        try:
            rtcp.parse(bytes([first | count, kind, 0, len(body) // 4]) + body)
        except MalformedError:
            continue


def test_ntp_time() -> None:
    assert rtcp.ntp_time(0.5) == (rtcp.NTP_UNIX << 32) + (1 << 31)
