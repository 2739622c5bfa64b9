"""Sizes are those that the encoder was told, cropping included."""

from contextlib import suppress
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import h265, picture_size
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


@pytest.mark.parametrize("size", [(1920, 1080), (480, 270), (704, 576), (642, 362)])
@pytest.mark.parametrize(
    ("options", "form"), [("", "yuv420p"), (":temporal-layers=3:bframes=3:b-adapt=0", "yuv420p"), ("", "yuv422p"),
                          ("", "yuv444p"), ("", "gray"), ("", "yuv420p10le")]
)  # fmt: skip
def test_sizes_of_h265(size: tuple[int, int], options: str, form: str) -> None:
    params = f"log-level=none:pools=1:repeat-headers=1{options}"
    data = encoded("libx265", *size, {"preset": "ultrafast", "x265-params": params}, form)
    (parameters,) = [unit for unit in h265.units(data) if h265.unit_type(unit) == h265.SPS]
    assert picture_size.of_h265(parameters) == size


@pytest.mark.parametrize(("form", "profile"), [("yuv420p", 0), ("yuv444p", 1), ("gbrp", 1)])
def test_sizes_of_vp9(form: str, profile: int) -> None:
    options = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
    data = encoded("libvpx-vp9", 482, 270, options, form)
    assert (data[0] >> 5 & 1) + (data[0] >> 4 & 1) * 2 == profile
    assert picture_size.of_vp9(data) == (482, 270)
    for bad in (b"\x86" + data[1:], data[:1] + b"\0" + data[2:], data[:6]):
        with pytest.raises(MalformedError):
            picture_size.of_vp9(bad)


@pytest.mark.parametrize("size", [(1920, 1080), (480, 270), (64, 64)])
def test_sizes_of_av1(size: tuple[int, int]) -> None:
    data = encoded("libsvtav1", *size, {"preset": "12"})
    assert picture_size.of_av1(data) == size


def packed(*fields: tuple[int, int]) -> bytes:
    """Return bytes of these fields: bits and value of each."""
    bits = "".join(f"{value:0{count}b}" for count, value in fields)
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")


@pytest.mark.parametrize(
    "colours",
    [
        ((1, 0), (1, 1), (4, 0), (24, 0x498342), (1, 0), (3, 2), (1, 0)),  # profile 2: 10 bits
        ((1, 1), (1, 1), (5, 0), (24, 0x498342), (1, 1), (3, 2), (1, 0), (3, 0)),  # profile 3: 12 bits, 4:4:4
        ((1, 1), (1, 1), (5, 0), (24, 0x498342), (1, 1), (3, 7), (1, 0)),  # RGB
    ],
)
def test_sizes_of_vp9_with_more_bits(colours: tuple[tuple[int, int], ...]) -> None:
    assert picture_size.of_vp9(packed((2, 2), *colours, (16, 481), (16, 269), (8, 0))) == (482, 270)


def sequence(*fields: tuple[int, int]) -> bytes:
    """Return a temporal unit with a sequence header of these fields."""
    body = packed(*fields)
    return bytes([0x0A, len(body)]) + body


SIZE = ((4, 9), (4, 8), (10, 641), (9, 361))


@pytest.mark.parametrize(
    "fields",
    [
        ((3, 0), (1, 1), (1, 1), (5, 4)),  # a still picture's short header
        ((3, 0), (1, 0), (1, 0), (1, 0), (1, 0), (5, 0), (12, 0), (5, 4)),
        ((3, 0), (1, 0), (1, 0), (1, 0), (1, 0), (5, 1), (12, 1), (5, 9), (1, 0), (12, 3), (5, 4)),  # tiers, two points
        ((3, 0), (1, 0), (1, 0), (1, 1), (32, 1), (32, 30), (1, 1), (3, 3), (1, 0), (1, 0), (5, 0), (12, 0), (5, 4)),
        (
            (3, 0), (1, 0), (1, 0), (1, 1), (32, 1), (32, 30), (1, 0), (1, 1), (5, 3), (32, 7), (5, 4), (5, 4),
            (1, 1), (5, 1), (12, 1), (5, 4), (1, 1), (4, 1), (4, 2), (1, 1), (1, 1), (4, 3),
            (12, 3), (5, 4), (1, 0), (1, 0),
        ),  # a decoder model and a delay of display for the first point
    ],
)  # fmt: skip
def test_sizes_of_av1_behind_every_head(fields: tuple[tuple[int, int], ...]) -> None:
    assert picture_size.of_av1(sequence(*fields, *SIZE)) == (642, 362)
    with pytest.raises(MalformedError):
        picture_size.of_av1(sequence(*fields))
    with pytest.raises(MalformedError):
        picture_size.of_av1(b"\x32\x01a")


@given(st.binary(max_size=80))
def test_rubbish_is_malformed_and_nothing_else(data: bytes) -> None:
    with suppress(MalformedError):
        picture_size.of_h264(b"\x67" + data)
    with suppress(MalformedError):
        picture_size.of_vp8(data)
    with suppress(MalformedError):
        picture_size.of_h265(b"\x42\x01" + data)
    with suppress(MalformedError):
        picture_size.of_vp9(b"\x82\x49\x83\x42" + data)
    with suppress(MalformedError):
        picture_size.of_av1(bytes([0x0A, len(data)]) + data)
