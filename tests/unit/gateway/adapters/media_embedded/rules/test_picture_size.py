"""Sizes are those that the encoder was told, cropping included."""

from contextlib import suppress
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import picture_size
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from protocols.aio.h264 import NAL_SPS, nal_type, nal_units


def encoded(codec: str, width: int, height: int, options: dict[str, str], form: str = "yuv420p") -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, form
    encoder.time_base, encoder.options = Fraction(1, 25), options
    frame = av.VideoFrame(width, height, form)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@pytest.mark.parametrize("size", [(1920, 1080), (480, 270), (704, 576), (16, 16), (642, 362)])
@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_sizes_of_h264(size: tuple[int, int], profile: str) -> None:
    data = encoded("libx264", *size, {"profile": profile, "preset": "ultrafast"})
    (parameters,) = [unit for unit in nal_units(data) if nal_type(unit) == NAL_SPS]
    assert picture_size.of_h264(parameters) == size


def test_interlaced_and_other_chroma() -> None:
    for options, form in (({"x264-params": "interlaced=1"}, "yuv420p"), ({}, "yuv444p"), ({}, "yuv422p")):
        data = encoded("libx264", 720, 480, {"preset": "ultrafast", **options}, form)
        (parameters,) = [unit for unit in nal_units(data) if nal_type(unit) == NAL_SPS]
        assert picture_size.of_h264(parameters) == (720, 480)


def test_size_of_vp8() -> None:
    data = encoded("libvpx", 482, 270, {"deadline": "realtime", "lag-in-frames": "0", "auto-alt-ref": "0"})
    assert picture_size.of_vp8(data) == (482, 270)
    with pytest.raises(MalformedError):
        picture_size.of_vp8(b"\x01" + data[1:])


@given(st.binary(max_size=80))
def test_rubbish_is_malformed_and_nothing_else(data: bytes) -> None:
    with suppress(MalformedError):
        picture_size.of_h264(b"\x67" + data)
    with suppress(MalformedError):
        picture_size.of_vp8(data)
