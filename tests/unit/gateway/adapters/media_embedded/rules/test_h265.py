"""H.265 payloads: access units come out as they went in; what decoding can begin at is told from all others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import h265
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from tests.support.h265 import packets
from tests.support.peers import MarkTrack

KINDS = [1, 19, 20, 21, 32, 33, 34, 39]
UNITS = st.builds(
    # no start code inside, no zero at the end: so encoders write them (H.265 section 7.3.1.1)
    lambda kind, body: bytes([kind << 1, 1]) + bytes(octet | 1 for octet in body),
    st.sampled_from(KINDS), st.binary(min_size=1, max_size=4000),
)  # fmt: skip


def stream(units: list[bytes]) -> bytes:
    return b"".join(h265.START_CODE + unit for unit in units)


@given(st.lists(UNITS, min_size=1, max_size=5))
def test_units_survive_packetising(units: list[bytes]) -> None:
    payloads = packets(stream(units))
    found = list(h265.units(h265.annex_b(payloads)))
    sets = [unit for unit in units if 32 <= h265.unit_type(unit) <= 34]
    others = [unit for unit in units if unit not in sets]
    assert found == ([*sets, *others] if len(sets) > 1 else units)
    assert [kind for payload in payloads for kind in h265.nal_types(payload)] == [h265.unit_type(u) for u in found]
    assert h265.is_key(stream(units)) is any(16 <= h265.unit_type(unit) < 24 for unit in units)


def test_real_pictures_and_their_key_frames() -> None:
    track = MarkTrack("320623", "H265", key_frame_s=0.2)
    keys, told, sets = [], [], set()
    for number in range(1, 10):
        track.number = number
        for packet in track._encode():
            data = h265.annex_b(packets(bytes(packet)))
            assert list(h265.units(data)) == list(h265.units(bytes(packet)))
            keys.append(h265.is_key(data))
            told.append(packet.is_keyframe)
            if packet.is_keyframe:
                sets.add(h265.parameter_sets(data))
            else:
                assert h265.parameter_sets(data) == b""
    assert keys == told
    assert sum(told) == 3
    (one,) = sets
    assert [h265.unit_type(unit) for unit in h265.units(one)] == [32, 33, 34]


def test_two_of_three_sets_are_none() -> None:
    vps, sps, pps = (bytes([kind << 1, 1, 7]) for kind in (32, 33, 34))
    assert h265.parameter_sets(stream([vps, sps, pps])) == stream([vps, sps, pps])
    for some in ([vps, sps], [sps, pps], [vps, pps], []):
        assert h265.parameter_sets(stream(some)) == b""


def test_fragments_join_with_their_own_header() -> None:
    assert h265.annex_b([b"\x63\x09\x93ab", b"\x63\x09\x13cd", b"", b"\x63\x09\x53ef"]) == (
        h265.START_CODE + b"\x27\x09abcdef"
    )


@pytest.mark.parametrize(
    ("payloads", "word"),
    [
        (["62 01 13 61"], "start"),
        (["62 01 93 61"], "no end"),
        (["62 01 93 61", "62 01 93 61"], "no end"),
        (["62 01 93 61", "02 01 61"], "no end"),
        (["62 01 93 61", "60 01 0003 020161"], "no end"),
        (["62 01"], "without a NAL unit"),
        (["02 01"], "without a NAL unit"),
        (["60 01 00 03 02 01"], "cut off"),
        (["60 01 00 01 02"], "cut off"),
        (["60 01 00"], "cut off"),
        (["64 01 00 00"], "type 50"),
        (["7e 01 00 00"], "type 63"),
    ],
)
def test_gaps_and_rubbish_are_malformed(payloads: list[str], word: str) -> None:
    with pytest.raises(MalformedError, match=word):
        h265.annex_b([bytes.fromhex(payload) for payload in payloads])


def test_a_unit_without_end_is_bounded() -> None:
    with pytest.raises(MalformedError, match="too long"):
        h265.annex_b([b"\x62\x01\x93" + bytes(1000)] + [b"\x62\x01\x13" + bytes(1000)] * 5000)


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_payloads_join_or_are_malformed(payloads: list[bytes]) -> None:
    for payload in payloads:
        assert len(h265.nal_types(payload)) <= len(payload)
    try:
        data = h265.annex_b(payloads)
    except MalformedError:
        return
    h265.is_key(data)
    h265.parameter_sets(data)
