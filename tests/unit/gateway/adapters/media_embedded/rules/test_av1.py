"""AV1 payloads: OBUs come out whole and with their sizes, in whatever parts they were sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import av1
from gateway.adapters.media_embedded.rules.key_frames import looked_for
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from tests.support.passed_on import av1_payloads, leb128, unsized
from tests.support.peers import MarkTrack

KINDS = [1, 3, 4, 5, 6, 7, 15]
OBUS = st.builds(
    lambda kind, extension, body: bytes([kind << 3 | (4 if extension else 0)]) + extension + body,
    st.sampled_from(KINDS), st.sampled_from([b"", b"\x08", b"\x20"]), st.binary(max_size=400),
)  # fmt: skip


def sized(obu: bytes) -> bytes:
    """Return an OBU with its size."""
    begin = 2 if obu[0] & 4 else 1
    return bytes([obu[0] | 2]) + obu[1:begin] + leb128(len(obu) - begin) + obu[begin:]


@given(st.lists(OBUS, min_size=1, max_size=8), st.integers(1, 500), st.booleans(), st.booleans())
def test_obus_survive_packetising(obus: list[bytes], room: int, counted: bool, with_sizes: bool) -> None:
    sent = [sized(obu) for obu in obus] if with_sizes else obus
    unit = av1.temporal_unit(av1_payloads(sent, key=True, room=room, counted=counted))
    assert unit == b"".join(map(sized, obus))
    assert [(kind, whole) for kind, _, whole in av1.obus(unit)] == [(obu[0] >> 3, sized(obu)) for obu in obus]
    assert av1.is_key(unit) is any(obu[0] >> 3 == 1 for obu in obus)


def test_what_is_not_for_rtp_is_left_out() -> None:
    assert av1.temporal_unit([b"\x20\x01\x10" + b"\x18abc", b"\x10\x40tiles", b"", b"\x10\x30tail"]) == (
        b"\x1a\x03abc" + b"\x32\x04tail"
    )


@pytest.mark.parametrize(
    ("payloads", "word"),
    [
        (["90 18 61"], "beginning"),
        (["50 18 61"], "no end"),
        (["50 18 61", "10 18 61"], "no end"),
        (["00"], "fewer"),
        (["20 01 18"], "fewer"),
        (["00 05 18"], "cut off"),
        (["00 00"], "cut off"),
        (["00 80 80 80 80 80 01"], "too long"),
        (["00 80"], "cut off or too long"),
        (["10 98"], "header"),
        (["10 1c"], "header"),
        (["10 1a 05 61"], "another size"),
        (["10 1a 00 61"], "another size"),
        (["10 1a"], "cut off"),
    ],
)
def test_gaps_and_rubbish_are_malformed(payloads: list[str], word: str) -> None:
    with pytest.raises(MalformedError, match=word):
        av1.temporal_unit([bytes.fromhex(payload) for payload in payloads])


@pytest.mark.parametrize("unit", ["18 61", "1a 05 61", "1a", "1e 00 80"])
def test_units_that_were_not_put_together_here_are_malformed(unit: str) -> None:
    with pytest.raises(MalformedError):
        list(av1.obus(bytes.fromhex(unit)))


@pytest.mark.parametrize("first", [b"\x50\x18", b"\x10\x18"])
def test_units_are_bounded(first: bytes) -> None:
    further = b"\xd0" if first[0] & 0x40 else b"\x10\x18"
    with pytest.raises(MalformedError, match="too long"):
        av1.temporal_unit([first + bytes(10_000)] + [further + bytes(10_000)] * 500)


def test_real_pictures_and_their_key_frames() -> None:
    track = MarkTrack("320623", "AV1", key_frame_s=0.2)
    looks, keys, told = [], [], []
    for number in range(1, 10):
        track.number = number
        for packet in track._encode():
            obus = unsized(bytes(packet))
            payloads = av1_payloads(obus, key=packet.is_keyframe, room=200)
            unit = av1.temporal_unit(payloads)
            assert unit == b"".join(map(sized, obus))
            looks.append(any(map(looked_for("video", "av1"), payloads)))
            keys.append(av1.is_key(unit))
            told.append(packet.is_keyframe)
    assert looks == keys == told
    assert sum(told) >= 2


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_payloads_join_or_are_malformed(payloads: list[bytes]) -> None:
    try:
        unit = av1.temporal_unit(payloads)
    except MalformedError:
        return
    assert b"".join(whole for _, _, whole in av1.obus(unit)) == unit
