"""Sound sources: loudness, a card that is lost and comes back, and a card without a clock."""

import time

import numpy as np
import pytest

from edge_agent.media.sound import CHUNK, SoundSource, loudness, tone_chunks
from tests.support.until import until


@pytest.mark.parametrize(("amplitude", "level"), [(0, -127), (32767, 0), (3277, -20), (1, -90)])
def test_loudness_is_in_dbov(amplitude, level):
    assert loudness(np.full(CHUNK, amplitude, np.int16)) == level
    assert loudness(next(tone_chunks(500))) == -18


@pytest.fixture
async def source():
    made = SoundSource("alsa:card", 500)
    yield made
    made.stop()


async def test_a_lost_card_is_named_silent_and_comes_back_by_itself(source, monkeypatch, caplog):
    present = []

    def card():
        for chunk in tone_chunks(500):
            if not present:
                raise OSError("No such device")
            yield chunk

    monkeypatch.setattr("edge_agent.media.sound._AGAIN_S", 0.05)
    source._chunks = card
    source.start()
    assert source.trouble is None
    reader = source.feed.subscribe()
    await until(lambda: source.restarts >= 2)
    assert source.trouble == "sound_lost"
    assert not reader._units
    present.append(1)
    assert (await reader.next()).level == -18
    assert source.trouble is None
    present.clear()
    await until(lambda: source.trouble == "sound_lost")
    told = [record for record in caplog.records if record.message == "sound source failed"]
    assert len(told) == 2
    assert "audio" in told[0].advice


async def test_a_device_without_a_clock_does_not_flood(source):
    source._chunks = lambda: tone_chunks(0)
    source.start()
    reader, began = source.feed.subscribe(), time.monotonic()
    units = [await reader.next() for _ in range(50)]
    assert time.monotonic() - began > 0.5
    assert units[0].level == -127


async def test_the_null_card_of_the_system_can_be_read():
    source = SoundSource("alsa:null", 0)
    source.start()
    reader = source.feed.subscribe()
    await until(lambda: reader._units or source.trouble)
    assert source.trouble is None
    source.stop()
