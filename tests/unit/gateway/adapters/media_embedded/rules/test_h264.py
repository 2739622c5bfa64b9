"""H.264 payloads: key frames are found, access units come out as they went in."""

import av
import pytest
from aiortc.codecs.h264 import H264Encoder
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import h264
from gateway.adapters.media_embedded.rules.malformed import MalformedError

UNIT = st.builds(
    lambda kind, body: bytes([0x60 | kind]) + body, st.sampled_from([1, 5, 7, 8]), st.binary(min_size=1, max_size=4000)
)


@given(st.lists(UNIT, min_size=1, max_size=5))
def test_units_survive_packetising(units: list[bytes]) -> None:
    """Packetised by aiortc (single units, STAP-A, FU-A), put together by us."""
    payloads = list(H264Encoder._packetize(iter(units)))
    assert h264.annex_b(payloads) == b"".join(h264.START_CODE + unit for unit in units)


def test_real_pictures_and_their_key_frames() -> None:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.gop_size = 320, 180, "yuv420p", 5
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast"}
    seen, keys = [], []
    for number in range(15):
        frame = av.VideoFrame(320, 180, "yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            payloads = list(H264Encoder._packetize(H264Encoder._split_bitstream(bytes(packet))))
            seen.append(any(map(h264.starts_key_frame, payloads)))
            keys.append(packet.is_keyframe)
    assert seen == keys
    assert sum(keys) >= 2


def test_parameter_sets_are_found_in_annex_b() -> None:
    sps, pps, idr = b"\x67sps", b"\x68pps", b"\x65idr"
    data = b"".join(start + unit for start, unit in zip((b"\0\0\0\1", b"\0\0\1"), (sps, pps), strict=True))
    assert list(h264.units(data + b"\0\0\0\0\1" + idr + b"\0")) == [sps, pps, idr]
    assert h264.parameter_sets(data + b"\0\0\1" + idr) == h264.START_CODE + sps + h264.START_CODE + pps
    assert h264.parameter_sets(b"rubbish") == h264.parameter_sets(b"") == b""


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b"", False),
        (b"\x67abc", True),
        (b"\x65abc", True),
        (b"\x41abc", False),
        (b"\x68abc", False),
        (b"\x7c\x85abc", True),
        (b"\x7c\x05abc", False),
        (b"\x7c\x81abc", False),
        (b"\x7c", False),
        (b"\x78\x00\x02\x09\x10\x00\x02\x67\x11", True),
        (b"\x78\x00\x02\x09\x10", False),
        (b"\x78\x00", False),
    ],
)
def test_key_frame_start(payload: bytes, key: bool) -> None:
    assert h264.starts_key_frame(payload) is key


@pytest.mark.parametrize(
    "payloads",
    [[b"\x7c\x05abc"], [b"\x7c\x85abc"], [b"\x7c"], [b"\x78\x00\x09a"], [b"\x78\x00\x00"], [b"\x79abc"], [b"\x60abc"]],
)
def test_gaps_and_rubbish_are_malformed(payloads: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        h264.annex_b(payloads)


def test_a_unit_without_end_is_bounded() -> None:
    with pytest.raises(MalformedError, match="too long"):
        h264.annex_b([b"\x7c\x85" + bytes(1000)] + [b"\x7c\x05" + bytes(1000)] * 5000)


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_payloads_join_or_are_malformed(payloads: list[bytes]) -> None:
    for payload in payloads:
        h264.starts_key_frame(payload)
        h264.nal_types(payload)
    try:
        h264.annex_b(payloads)
    except MalformedError:
        return
