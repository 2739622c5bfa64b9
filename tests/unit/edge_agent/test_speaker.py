"""Sound that comes in: an output that is lost is named and comes back by itself."""

import wave

import numpy as np
import pytest

from edge_agent.cameras.advice import ADVICE
from edge_agent.media.sound import tone_chunks
from edge_agent.media.speaker import Speaker


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("edge_agent.media.speaker.AGAIN_S", 0.0)


def test_an_output_that_is_lost_is_named_and_used_again_once_it_is_there(tmp_path, caplog):
    path, chunks = tmp_path / "hall" / "call.wav", tone_chunks(700)
    with Speaker(f"file:{path}") as speaker:
        for _ in range(5):
            speaker.play(next(chunks))
        assert speaker.trouble == "speaker_lost"
        assert len([record for record in caplog.records if record.message == "sound output failed"]) == 1
        path.parent.mkdir()
        for _ in range(20):
            speaker.play(next(chunks))
        assert speaker.trouble is None
        assert speaker.meter.peak_hz == pytest.approx(700, abs=6)
    with wave.open(str(path)) as file:
        assert file.getnframes() == 20 * 960
    assert "speaker_lost" in ADVICE


class Pulled:
    def play(self, samples):
        raise RuntimeError("gone")

    def close(self):
        raise RuntimeError("gone")


def test_a_card_that_is_pulled_out_does_not_end_the_call():
    with Speaker("null") as speaker:
        speaker._output = Pulled()
        speaker.play(np.zeros(960, np.int16))
        assert speaker.trouble == "speaker_lost"
        speaker.play(np.zeros(960, np.int16))
        assert speaker.trouble is None
        speaker._output = Pulled()
