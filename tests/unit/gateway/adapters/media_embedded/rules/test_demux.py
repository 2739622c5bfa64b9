"""Packets of a BUNDLE find their m-line, or none."""

import pytest

from gateway.adapters.media_embedded.rules.demux import MAX_LEARNED, Demux
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.ingest import Codec
from gateway.adapters.media_embedded.rules.rtp import Packet, extension_block

VP8 = {96: Codec("vp8", 90000)}
MAIN = Track("video", "0", 9, VP8, {97: 96}, 0, announced=(11,), announced_repairs=(12,), name="main")
THUMB = Track("video", "1", 9, VP8, {97: 96}, 0, announced=(21,), name="thumb")
AUDIO = Track("audio", "2", 9, {111: Codec("opus", 48000)}, {}, 0, name="audio")


def packet(ssrc: int, payload_type: int = 96, mid: bytes | None = None) -> Packet:
    return Packet(payload_type, False, 1, 1, ssrc, b"x", extension_block({} if mid is None else {9: mid}))


def track(demux: Demux, heard: Packet) -> str | None:
    return demux.track_of(heard, heard.extensions)


@pytest.mark.parametrize(
    ("heard", "name"),
    [
        (packet(99, mid=b"1"), "thumb"),
        (packet(11, mid=b"1"), "thumb"),
        (packet(11), "main"),
        (packet(12, 97), "main"),
        (packet(21), "thumb"),
        (packet(99), None),
        (packet(99, 111), "audio"),
        (packet(99, 50), None),
        (packet(11, mid=b"7"), None),
    ],
)
def test_mid_before_source_before_payload_type(heard: Packet, name: str | None) -> None:
    assert Demux((MAIN, THUMB, AUDIO)).track_of(heard, heard.extensions) == name


def test_a_source_that_named_its_mid_once_is_known_and_the_memory_is_bounded() -> None:
    demux = Demux((MAIN, THUMB, AUDIO))
    assert track(demux, packet(50, mid=b"0")) == "main"
    assert track(demux, packet(50)) == "main"
    for ssrc in range(100, 100 + MAX_LEARNED):
        track(demux, packet(ssrc, mid=b"1"))
    assert track(demux, packet(50)) is None
    assert track(demux, packet(100)) == "thumb"


def test_one_picture_needs_neither_mid_nor_announcement() -> None:
    assert track(Demux((Track("video", "", 0, VP8, {}, 0, name="main"),)), packet(7)) == "main"
