"""Layers of one picture: sizes, rates, what is coded while nobody looks, and a bit rate that follows its target."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import av
import numpy as np
import pytest

from edge_agent.cameras.feed import Feed
from edge_agent.cameras.layers import LayerEncoder, fit
from protocols.aio.testcard import TestCard
from tests.support.until import until

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "found"),
    [((1920, 1080), (320, 180)), ((640, 480), (240, 180)), ((160, 90), (160, 90)), ((1080, 1920), (100, 180))],
)
def test_a_thumb_keeps_the_shape_of_its_picture(size, found):
    assert fit(*size, 320, 180) == found


def pictures(count, *, noise=0):
    card, grain = TestCard("320623", "如东县"), np.random.default_rng(1)
    for number in range(count):
        picture = card.draw(START + timedelta(seconds=number / 15))
        if noise:
            picture = picture // 2 + grain.integers(0, noise, picture.shape, dtype=np.uint8)
        yield number / 15, picture


def run(layer, count, begin=0.0, **more):
    for at, picture in pictures(count, **more):
        if layer.due(begin + at):
            layer.encode(picture, begin + at, 0.0)


async def units_of(reader, layer):
    feed = layer.feed
    await until(lambda: len(reader._units) >= 1)
    found = list(reader._units)
    reader._units.clear()
    assert feed.lost == 0
    return found


def thumb():
    return LayerEncoder("thumb", Feed("t", keep_group=False), rate=12, kbps=150, key_s=1.5, thinned=True)


def main():
    return LayerEncoder("main", Feed("m", keep_group=False), rate=15, kbps=800, key_s=1.0)


async def test_a_thumb_is_small_thinned_and_begins_with_a_key_frame():
    layer = thumb()
    run(layer, 15)
    assert layer.encoded == 0
    reader = layer.feed.subscribe()
    run(layer, 60, begin=10.0)
    assert 40 <= layer.encoded <= 50
    units = await units_of(reader, layer)
    assert units[0].key
    keys = [unit.pts / 90_000 for unit in units if unit.key]
    assert all(1.0 <= later - sooner <= 2.0 for sooner, later in pairwise(keys))
    assert sum(len(unit.data) for unit in units) * 8 / 4 < 200_000
    decoder = av.CodecContext.create("h264", "r")
    frame = next(shown for unit in units for shown in decoder.decode(av.Packet(unit.data)))
    assert (frame.width, frame.height) == (320, 180)
    reader.close()
    assert not layer.due(20.0)
    assert not layer.running


async def test_a_bit_rate_follows_its_target_down_and_up_again():
    layer = main()
    reader = layer.feed.subscribe()

    async def kbps(begin):
        run(layer, 45, begin=begin, noise=60)
        return sum(len(unit.data) for unit in await units_of(reader, layer)) * 8 / 3000

    full = await kbps(0.0)
    layer.target_kbps = 200
    low = await kbps(3.0)
    layer.target_kbps = 20
    least = await kbps(6.0)
    layer.target_kbps = 10_000
    again = await kbps(9.0)
    assert low < full / 2.5
    assert least < low
    assert layer.wished_kbps == 800
    assert again > full * 0.7
    assert layer.retunes == 3


async def test_a_target_beyond_the_rate_of_its_start_is_reached_at_a_key_frame():
    layer = main()
    reader, layer.target_kbps = layer.feed.subscribe(), 200
    run(layer, 20, noise=60)
    before = await units_of(reader, layer)
    layer.target_kbps = 800
    run(layer, 60, begin=2.0, noise=60)
    after = await units_of(reader, layer)
    assert sum(len(unit.data) for unit in after[15:60]) > 2 * 45 / 20 * sum(len(unit.data) for unit in before)
    keys = [unit.pts / 90_000 for unit in before + after if unit.key]
    assert len(keys) <= 7
