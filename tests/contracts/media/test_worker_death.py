"""A killed worker is replaced, and everybody is told."""

import asyncio
import os
import signal

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.ports.media import EndReason, EngineRestarted, SessionEnded
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"


async def test_kill_minus_nine(engine: EmbeddedMediaEngine) -> None:
    events = engine.events()
    port, pid = engine.port, engine.worker_pid
    assert pid is not None
    async with publisher(whip(engine, ROOM)), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623")
        os.kill(pid, signal.SIGKILL)
        ended = []
        async with asyncio.timeout(20):
            async for event in events:
                if isinstance(event, SessionEnded):
                    ended.append(event.reason)
                if isinstance(event, EngineRestarted):
                    break
        assert ended == [EndReason.WORKER_LOST] * 2
        assert event.streams == (ROOM,)
    await until(lambda: engine.worker_pid not in {None, pid})
    assert engine.port == port, "the port is kept, firewalls know it"
    async with publisher(whip(engine, ROOM)), viewer(whep(engine, ROOM)) as seen:
        await seen.sees("320623", 3)
    assert (await engine.stats()).worker_restarts == 1


async def test_a_stopped_worker_is_stuck_and_replaced(
    engine: EmbeddedMediaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.media_embedded.worker_link.SILENT_S", 0.5)
    pid = engine.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: engine.worker_pid not in {None, pid}, 30)


async def test_the_worker_dies_with_its_engine(tmp_path) -> None:
    async with EmbeddedMediaEngine(state_dir=tmp_path / "state") as engine:
        pid = engine.worker_pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
