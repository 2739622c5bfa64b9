"""A call's incoming side against a real WebRTC peer: the tone and the mark that were sent are what is reported."""

import asyncio
import fractions
import time
import wave
from datetime import UTC, datetime

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack

from edge_agent.calls import Calls
from edge_agent.rollcall.desk import AnswerDesk
from edge_agent.rollcall.machine import Details
from edge_agent.rollcall.ringer import Ringer
from edge_agent.settings import AnswerSection
from protocols.aio.clock import SystemClock
from protocols.aio.tasks import Supervisor
from protocols.aio.testcard import TestCard
from protocols.command import CallEnd, CallRing, RollCallRing
from protocols.errors import NotFoundError, RefusedError
from tests.support.until import until
from tests.support.whip_stub import WhipStub

CALLER = "320600/call-01jd8z5w3k4m5n6p7q8r9s0t1v"
CALL = "01JD8Z5W3K4M5N6P7Q8R9S0T1V"


class Picture(MediaStreamTrack):
    kind = "video"

    def __init__(self):
        super().__init__()
        self._card = TestCard("320600", "南通市")
        self._number = 0

    async def recv(self):
        await asyncio.sleep(1 / 15)
        frame = av.VideoFrame.from_ndarray(self._card.draw(datetime.now(UTC)), format="bgr24")
        self._number += 1
        frame.pts, frame.time_base = self._number * 6000, fractions.Fraction(1, 90_000)
        return frame


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, hertz):
        super().__init__()
        self._hertz, self._at, self._start = hertz, 0, time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0.0, self._start + self._at / 48_000 - time.monotonic()))
        angles = np.arange(self._at, self._at + 960) * 2 * np.pi * self._hertz / 48_000
        frame = av.AudioFrame.from_ndarray((np.sin(angles) * 8000).astype(np.int16).reshape(1, -1), layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._at, fractions.Fraction(1, 48_000)
        self._at += 960
        return frame


@pytest.fixture
async def server():
    async with WhipStub() as stub:
        yield stub


def ring(server, call=CALL):
    return CallRing(
        call_id=call,
        centre="320623",
        camera="room",
        caller="张三",
        caller_centre="320600",
        caller_stream=CALLER,
        whep_url=server.url(CALLER, "whep"),
        token="t2",
    )


def desk(tmp_path, tasks):
    return AnswerDesk(tmp_path, Ringer("null", "tone"), SystemClock(), tasks)


async def test_tone_and_mark_of_the_caller_are_heard_and_seen(server, tmp_path):
    server.play[CALLER] = [Picture(), Tone(880)]
    heard = tmp_path / "heard.wav"
    async with Supervisor("test") as tasks:
        calls = Calls(("320623/room",), AnswerSection(), f"file:{heard}", SystemClock(), tasks, desk(tmp_path, tasks))
        answer = await calls.ring(ring(server))
        assert answer.callee_stream == "320623/room"
        await until(lambda: calls.report()["peak_hz"] == pytest.approx(880, abs=6))
        await until(lambda: ((calls.report()["picture"] or {}).get("mark") or {}).get("code") == "320600")
        assert await calls.ring(ring(server)) is not None
        assert len(server.sessions) == 1
        with pytest.raises(RefusedError) as busy:
            await calls.ring(ring(server, CALL[:-1] + "W"))
        assert busy.value.reason == "busy"
        await calls.end(CallEnd(call_id=CALL))
        assert calls.report() is None
        assert server.sessions[0].deleted
    with wave.open(str(heard)) as file:
        assert file.getnframes() > 4800


async def test_a_caller_who_is_not_there_yet_is_waited_for(server, tmp_path):
    async with Supervisor("test") as tasks:
        calls = Calls(("320623/room",), AnswerSection(), "null", SystemClock(), tasks, desk(tmp_path, tasks))
        await calls.ring(ring(server))
        await asyncio.sleep(0.5)
        server.play[CALLER] = [Picture(), Tone(700)]
        await until(lambda: calls.report()["frames"] > 3)
        await calls.end(CallEnd(call_id=CALL))


async def test_a_person_answers_and_declines(server, tmp_path):
    server.play[CALLER] = [Picture(), Tone(880)]
    shown = AnswerSection(policy="ring")
    async with Supervisor("test") as tasks, asyncio.TaskGroup() as group:
        room = desk(tmp_path, tasks)
        tasks.start("desk", room.run)
        calls = Calls(("320623/room",), shown, f"file:{tmp_path / 'heard.wav'}", SystemClock(), tasks, room)
        ringing = group.create_task(calls.ring(ring(server)))
        await until(lambda: tasks.running("ring"))
        assert calls.report() is None
        await room.answer(CALL, Details(answered_by="王芳"))
        assert (await ringing).answered_by == "王芳"
        assert not tasks.running("ring")
        await until(lambda: calls.report()["peak_hz"] == pytest.approx(880, abs=6))
        await calls.end(CallEnd(call_id=CALL))
        assert not room.turns.get(CALL).open
        other = CALL[:-1] + "W"
        refused = group.create_task(_refusal(calls.ring(ring(server, other))))
        await until(lambda: tasks.running("ring"))
        room.decline(other)
        assert (await refused).reason == "declined"


async def _refusal(work):
    try:
        await work
    except RefusedError as error:
        return error


async def test_the_caller_of_an_answered_roll_call_is_heard_without_a_second_ring(server, tmp_path):
    async with Supervisor("test") as tasks:
        room = desk(tmp_path, tasks)
        room.rung(RollCallRing(roll_call_id=CALL[:-1] + "X", centre="320623", camera="room"))
        await room.answer(CALL[:-1] + "X", Details(answered_by="王芳"))
        calls = Calls(("320623/room",), AnswerSection(policy="ring"), "null", SystemClock(), tasks, room)
        assert (await calls.ring(ring(server))).answered_by == "王芳"
        await calls.end(CallEnd(call_id=CALL))


async def test_policy_and_foreign_cameras(server, tmp_path):
    async with Supervisor("test") as tasks:
        shy = Calls(
            ("320623/room",), AnswerSection(policy="reject"), "null", SystemClock(), tasks, desk(tmp_path, tasks)
        )
        with pytest.raises(RefusedError) as declined:
            await shy.ring(ring(server))
        assert declined.value.reason == "declined"
        with pytest.raises(NotFoundError):
            await Calls((), AnswerSection(), "null", SystemClock(), tasks, desk(tmp_path, tasks)).ring(ring(server))
