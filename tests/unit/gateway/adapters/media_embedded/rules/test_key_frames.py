"""Key frames are seen in every codec that is forwarded, and no bytes break the looking."""

import random

import pytest

from gateway.adapters.media_embedded.rules.key_frames import looked_for


@pytest.mark.parametrize(
    ("codec", "payload", "key"),
    [
        ("vp9", "08 00", True),
        ("vp9", "48 00", False),  # predicted from another frame
        ("vp9", "00 00", False),  # not the beginning
        ("vp9", "88 81 23 00", True),  # a picture id of 15 bits
        ("vp9", "a8 81 23 00 00", True),  # layer 0
        ("vp9", "a8 81 23 02 00", False),  # a higher spatial layer
        ("vp9", "28", False),
        ("av1", "18 0a", True),
        ("av1", "98 0a", False),  # goes on from the packet before
        ("av1", "10 32", False),
        ("h265", "40 01 0c", True),  # VPS
        ("h265", "42 01 01", True),  # SPS
        ("h265", "26 01 af", True),  # IDR_W_RADL
        ("h265", "02 01 d0", False),  # TRAIL_R
        ("h265", "62 01 93 00", True),  # first fragment of an IDR
        ("h265", "62 01 13 00", False),  # a later one
        ("h265", "62 01 81 00", False),  # first fragment of TRAIL_R
        ("h265", "60 01 00 03 46 01 10 00 03 40 01 0c", True),  # access unit delimiter, then VPS
        ("h265", "60 01 00 03 46 01 10", False),
        ("opus", "fc ff fe", False),
    ],
)
def test_the_start_of_a_key_frame(codec: str, payload: str, key: bool) -> None:
    assert looked_for("video", codec)(bytes.fromhex(payload)) is key


def test_no_bytes_break_it() -> None:
    chance = random.Random(9)
    for _ in range(4000):
        payload = chance.randbytes(chance.randint(0, 40))
        for codec in ("h264/42e0", "vp8", "vp9", "av1", "h265", "opus", "none"):
            assert looked_for("video", codec)(payload) in {True, False}


def test_sound_has_no_key_frames() -> None:
    assert not looked_for("audio", "vp9")(b"\x08\x00")
