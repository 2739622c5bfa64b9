"""The ring and the spoken prompt: tones that are heard, words where the box can speak, and a loudspeaker given back."""

import asyncio
import wave

import numpy as np
import pytest

from edge_agent.media.speaker import RATE, Meter
from edge_agent.rollcall import speech
from edge_agent.rollcall.machine import Details, Turns, turn_of
from edge_agent.rollcall.phrases import prompt
from edge_agent.rollcall.ringer import HIGH_HZ, LOW_HZ, Ringer, chime_tone, pause, ring_tone
from protocols.aio.clock import SystemClock
from protocols.command import CallRing, RollCallRing
from protocols.ids import ulid

ONE = ulid(1, bytes(10))


@pytest.fixture
def mute(monkeypatch):
    monkeypatch.setattr(speech, "find_speaker", lambda: None)
    speech.spoken.cache_clear()
    yield
    speech.spoken.cache_clear()


def test_the_tones_are_those_that_were_meant():
    meter = Meter()
    meter.hear(ring_tone()[:9600])
    assert meter.peak_hz == pytest.approx(HIGH_HZ, abs=6)
    meter.hear(chime_tone()[-9600:])
    assert meter.peak_hz == pytest.approx(LOW_HZ, abs=6)
    assert abs(ring_tone()).max() < 16_000
    assert not pause(0.5).any()


async def test_a_ring_ends_as_soon_as_it_is_not_wanted_and_the_device_is_free(tmp_path, mute):
    path, wanted = tmp_path / "heard.wav", [True]
    ringer = Ringer(f"file:{path}")
    async with asyncio.TaskGroup() as group:
        group.create_task(ringer.ring("视频点名", lambda: wanted[0]))
        async with asyncio.timeout(20):
            while ringer.speaker.meter.heard_s < 0.3:
                await asyncio.sleep(0.02)
        wanted[0] = False
    with wave.open(str(path)) as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert len(heard) >= 0.3 * RATE
    assert abs(heard).max() > 8000


async def test_a_cancelled_ring_has_ended_when_cancel_returns(tmp_path, mute):
    ringer = Ringer(f"file:{tmp_path / 'heard.wav'}")
    task = asyncio.ensure_future(ringer.ring("视频点名", lambda: True))
    async with asyncio.timeout(20):
        while not ringer.speaker.meter.heard_s:
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    heard = ringer.speaker.meter.heard_s
    await ringer.chime("视频点名")
    assert ringer.speaker.meter.heard_s > heard


@pytest.mark.external
@pytest.mark.skipif(speech.find_speaker() is None, reason="needs espeak-ng")
def test_the_prompt_is_spoken_in_mandarin():
    speech.spoken.cache_clear()
    words = speech.spoken("视频点名，请接听。")
    assert words is not None
    assert 1.0 < len(words) / RATE < 6.0
    assert abs(words).max() > 3000
    assert speech.spoken("视频点名，请接听。") is words


def test_a_box_that_cannot_speak_has_tones(mute):
    assert speech.spoken("视频点名") is None


def test_a_program_that_fails_is_said_and_costs_only_the_words(monkeypatch, caplog):
    speech.spoken.cache_clear()
    monkeypatch.setattr(speech, "find_speaker", lambda: "/bin/false")
    assert speech.spoken("视频点名") is None
    assert "no spoken prompt" in caplog.text
    speech.spoken.cache_clear()


def test_the_words_say_drill_and_whether_somebody_must_come():
    now, turns = SystemClock().now(), Turns()
    roll_call = RollCallRing(roll_call_id=ONE, centre="320623", camera="room", drill=True)
    assert prompt(turn_of(roll_call, now)) == "演练。视频点名，请接听。"
    turns.rung(turn_of(roll_call, now), now)
    assert "画面已接通" in prompt(turns.answered(ONE, Details(answered_by="自动应答"), now, by_person=False))
    call = CallRing(
        call_id=ONE, centre="320623", camera="room", caller="张三", caller_centre="320600",
        caller_stream="320600/call", whep_url="http://127.0.0.1/whip", token="t",
    )  # fmt: skip
    assert prompt(turn_of(call, now)) == "视频调度，请接听。"
