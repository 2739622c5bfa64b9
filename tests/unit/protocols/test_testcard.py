"""The card is judged by its pixels after a real encoder and decoder."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import av

from protocols.aio.h264 import START as START_CODE
from protocols.aio.h264 import Encoder, is_key, nal_type, nal_units, parameter_sets, with_parameter_sets
from protocols.aio.testcard import TestCard, tone_hz
from protocols.ids import NATION
from protocols.testmark import decode
from protocols.tiers import NANTONG, Tier

START = datetime(2026, 11, 23, 8, 0, 0, 900_000, UTC)


def _encode(count=20, force=()):
    card, encoder = TestCard("320623", "如东县", "指挥大厅"), Encoder(640, 360, 15, 800, 1.0)
    units = []
    for number in range(count):
        moment = START + timedelta(seconds=number / 15)
        units += encoder.encode(card.draw(moment), number * 6000, number / 15, key=number in force)
    encoder.close()
    return units


def test_the_mark_survives_encoding_and_tells_county_and_time():
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in _encode() for frame in decoder.decode(av.Packet(unit.data))]
    grey = frames[-1].to_ndarray(format="gray")
    mark = decode(640, 360, lambda x, y: float(grey[y, x]))
    assert mark is not None
    assert mark.code == "320623"
    assert mark.age_ms(int(START.timestamp() * 1000) + 19 * 1000 // 15) <= 1


def test_key_frames_come_each_second_and_on_request_with_parameter_sets():
    units = _encode(32, force={7})
    assert [number for number, unit in enumerate(units) if unit.key] == [0, 7, 22]
    for unit in units:
        kinds = {nal_type(nal) for nal in nal_units(unit.data)}
        assert is_key(unit.data) == unit.key
        assert ({7, 8, 5} <= kinds) == unit.key
    assert all(later.pts - earlier.pts == 6000 for earlier, later in pairwise(units))


def test_parameter_sets_are_put_in_front_of_a_bare_key_frame():
    key = _encode(1)[0].data
    sets = parameter_sets(key)
    bare = START_CODE + list(nal_units(key))[-1]
    assert not parameter_sets(bare)
    assert parameter_sets(with_parameter_sets(bare, sets)) == sets
    assert with_parameter_sets(key, sets) == key


def test_two_moments_differ_and_the_counties_have_own_tones():
    card = TestCard("320612", "通州区")
    assert (card.draw(START) != card.draw(START + timedelta(milliseconds=66))).any()
    counties = [centre.code for centre in NANTONG if centre.tier is Tier.COUNTY and centre.valid_to is None]
    assert len({tone_hz(code) for code in counties}) == 7
    assert tone_hz(NATION) == 500
