"""VP8 payloads: descriptors, key frames, frames, and picture ids that go on."""

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import vp8
from gateway.adapters.media_embedded.rules.malformed import MalformedError

DESCRIPTORS = st.builds(
    lambda start, partition, picture, level, key: VpxPayloadDescriptor(
        partition_start=start, partition_id=partition, picture_id=picture, tl0picidx=level,
        tid=(1, 0) if level is not None else None, keyidx=key,
    ),
    st.integers(0, 1), st.integers(0, 7), st.none() | st.integers(0, 32767), st.none() | st.integers(0, 255),
    st.none() | st.integers(0, 31),
)  # fmt: skip


@given(DESCRIPTORS, st.binary(min_size=1, max_size=50))
def test_descriptors_are_read_as_aiortc_writes_them(theirs: VpxPayloadDescriptor, body: bytes) -> None:
    head = bytes(theirs)
    read = vp8.descriptor(head + body)
    assert read.length == len(head)
    assert (read.start, read.partition) == (bool(theirs.partition_start), theirs.partition_id)
    if theirs.picture_id is not None:
        assert read.picture_id == theirs.picture_id


@given(DESCRIPTORS, st.binary(min_size=1, max_size=20), st.integers(-40000, 40000), st.integers(-300, 300))
def test_shifting_moves_the_counters_and_nothing_else(
    theirs: VpxPayloadDescriptor, body: bytes, pictures: int, levels: int
) -> None:
    before = bytes(theirs) + body
    after = vp8.shifted(before, pictures, levels)
    assert len(after) == len(before)
    read, _ = VpxPayloadDescriptor.parse(after)
    if theirs.picture_id is not None:
        assert read.picture_id == (theirs.picture_id + pictures) % 32768
    if theirs.tl0picidx is not None:
        assert read.tl0picidx == (theirs.tl0picidx + levels) % 256
    assert after[len(bytes(theirs)) :] == body
    assert (read.tid, read.keyidx, read.partition_id) == (theirs.tid, theirs.keyidx, theirs.partition_id)


def test_short_picture_ids_stay_short() -> None:
    assert vp8.shifted(b"\x90\x80\x7fabc", 1, 0) == b"\x90\x80\x00abc"


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b"\x10\x00", True),
        (b"\x10\x01", False),
        (b"\x00\x00", False),
        (b"\x11\x00", False),
        (b"", False),
        (b"\x90", False),
    ],
)
def test_key_frame_start(payload: bytes, key: bool) -> None:
    assert vp8.starts_key_frame(payload) is key


def test_frames_are_joined_without_descriptors() -> None:
    assert vp8.frame([b"\x90\x80\x01abc", b"", b"\x00def"]) == b"abcdef"


def test_frames_are_bounded() -> None:
    with pytest.raises(MalformedError):
        vp8.frame([b"\x10" + bytes(10_000)] * 500)


@given(st.binary(max_size=8))
def test_any_bytes_parse_or_are_malformed(payload: bytes) -> None:
    vp8.starts_key_frame(payload)
    try:
        vp8.descriptor(payload)
    except MalformedError:
        return
    vp8.shifted(payload, 1, 1)
