"""One table for every codec: what is joined, where decoding can begin, what a file must know."""

import pytest

from gateway.adapters.media_embedded.rules import access_unit
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from tests.support import passed_on
from tests.support.peers import HEIGHT, WIDTH, MarkTrack


@pytest.mark.parametrize("name", list(passed_on.PACKERS))
def test_real_pictures(name: str) -> None:
    codec = name.lower()
    track = MarkTrack("320623", name, key_frame_s=0.2)
    told, found = [], set()
    for number in range(1, 10):
        track.number = number
        for packet in track._encode():
            payloads = passed_on.PACKERS[name](packet)
            unit = access_unit.joined(codec, payloads)
            told.append(packet.is_keyframe)
            assert access_unit.is_key(codec, unit) is packet.is_keyframe
            if packet.is_keyframe:
                assert access_unit.opens(codec, payloads[0])
                found.add(access_unit.parameters(codec, unit))
                assert access_unit.size(codec, unit) == (WIDTH, HEIGHT)
            else:
                with pytest.raises(MalformedError):
                    access_unit.size(codec, unit)
    assert sum(told) >= 2
    assert len(found) == 1
    assert all(found)


def test_what_is_not_known() -> None:
    with pytest.raises(MalformedError, match="passed on"):
        access_unit.joined("other", [b"x"])
    assert access_unit.parameters("opus", b"x") == b""


def test_the_middle_of_a_key_frame_does_not_open_it() -> None:
    assert access_unit.opens("h264", b"\x67abc")
    assert not access_unit.opens("h264", b"\x65abc")
    assert access_unit.opens("h265", b"\x42\x01\x01")
    assert not access_unit.opens("h265", b"\x26\x01\xaf")
