"""VP9 payloads: descriptors of every form, frames joined, layers made a superframe that decoders take apart."""

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import vp9
from gateway.adapters.media_embedded.rules.key_frames import looked_for
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from tests.support.passed_on import PAYLOAD, vp9_packets
from tests.support.peers import MarkTrack

FRAMES = st.lists(st.binary(min_size=1, max_size=3 * PAYLOAD), min_size=1, max_size=8)


@given(FRAMES, st.booleans(), st.integers(0, 1 << 15))
def test_frames_survive_packetising(frames: list[bytes], key: bool, number: int) -> None:
    payloads = vp9_packets(frames, key=key, picture=number)
    found = vp9.picture(payloads)
    if len(frames) == 1:
        assert found == frames[0]
        return
    width = (found[-1] >> 3 & 3) + 1
    assert (found[-1] >> 5, (found[-1] & 7) + 1) == (6, len(frames))
    index = found[-2 - width * len(frames) :]
    assert index[0] == index[-1]
    sizes = [int.from_bytes(index[1 + n * width : 1 + (n + 1) * width], "little") for n in range(len(frames))]
    assert sizes == [len(frame) for frame in frames]
    assert found[: -len(index)] == b"".join(frames)


@pytest.mark.parametrize(
    ("payload", "length"),
    [
        ("0c 82", 1),
        ("8c 23 82", 2),  # picture ids of 7 and of 15 bits
        ("8c a3 01 82", 3),
        ("2c 00 05 82", 3),  # a layer, with TL0PICIDX
        ("3c 00 82", 2),  # flexible mode has none
        ("5c 02 82", 2),  # one reference
        ("5c 03 05 06 82", 4),  # three
        ("1c 82", 1),
        ("0e 00 82", 2),  # a scalability structure with nothing in it
        ("0e 30 0140 00b4 0280 0168 82", 10),  # two sizes
        ("0e 08 02 04 01 08 01 02 82", 8),  # a group of two pictures, with one and two references
        ("be 81 23 00 18 0280 0168 01 00 82", 11),
    ],
)
def test_descriptors_of_every_form(payload: str, length: int) -> None:
    assert vp9.descriptor_length(bytes.fromhex(payload)) == length
    for end in range(length):
        with pytest.raises(MalformedError):
            vp9.descriptor_length(bytes.fromhex(payload)[:end])


@pytest.mark.parametrize(
    ("payloads", "word"),
    [
        (["00 82"], "beginning"),
        (["08 82"], "end"),
        (["08 82", "08 82"], "end"),
        (["0c 82", "04 82"], "beginning"),
        (["0c"], "end"),
        (["5c 03 05 07 82"], "references"),
        (["0c 82"] * 9, "too long"),
        (["88"], "cut off"),
        ([], ""),
    ],
)
def test_gaps_and_rubbish_are_malformed(payloads: list[str], word: str) -> None:
    if not payloads:
        assert vp9.picture([b""]) == b""
        return
    with pytest.raises(MalformedError, match=word):
        vp9.picture([bytes.fromhex(payload) for payload in payloads])


def test_pictures_are_bounded() -> None:
    with pytest.raises(MalformedError, match="too long"):
        vp9.picture([b"\x08" + bytes(10_000)] + [b"\x00" + bytes(10_000)] * 500)


def test_real_pictures_and_their_key_frames() -> None:
    track = MarkTrack("320623", "VP9", key_frame_s=0.2)
    looks, keys, told = [], [], []
    for number in range(1, 10):
        track.number = number
        for packet in track._encode():
            payloads = vp9_packets([bytes(packet)], key=packet.is_keyframe)
            assert vp9.picture(payloads) == bytes(packet)
            looks.append(any(map(looked_for("video", "vp9"), payloads)))
            keys.append(vp9.is_key(bytes(packet)))
            told.append(packet.is_keyframe)
    assert looks == keys == told
    assert sum(told) == 3


def test_a_decoder_sees_every_layer_of_a_picture() -> None:
    """Frames that follow each other stand for layers: without the index FFmpeg would decode the first one alone."""
    track = MarkTrack("320623", "VP9")
    frames = []
    for number in (1, 2, 3):
        track.number = number
        frames += [bytes(packet) for packet in track._encode()]
    decoder = av.CodecContext.create("vp9", "r")
    seen = decoder.decode(av.Packet(vp9.picture(vp9_packets(frames, key=True)))) + decoder.decode(None)
    assert len(seen) == 3


@pytest.mark.parametrize(("first", "key"), [(0x82, True), (0x86, False), (0x8A, False), (0xB0, True), (0xB2, False),
                                            (0xB4, False), (0x02, False)])  # fmt: skip
def test_key_frames_by_their_header(first: int, key: bool) -> None:
    assert vp9.is_key(bytes([first])) is key
    assert not vp9.is_key(b"")


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_payloads_join_or_are_malformed(payloads: list[bytes]) -> None:
    try:
        vp9.is_key(vp9.picture(payloads))
    except MalformedError:
        return
