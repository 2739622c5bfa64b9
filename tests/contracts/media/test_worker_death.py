"""A killed worker is replaced, and everybody is told."""

import asyncio
import os
import resource
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.lineage import BEFORE_OTHERS
from gateway.ports.media import EndReason, EngineRestarted, SessionEnded
from protocols.errors import ConfigError
from tests.support.house import ROOT
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip

once = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path

ROOM = "320623/room"


@once
async def test_pictures_go_before_whoever_computes(engine: EmbeddedMediaEngine) -> None:
    pid = engine.worker_pid
    assert pid is not None
    own = os.getpriority(os.PRIO_PROCESS, 0)
    allowed = os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - BEFORE_OTHERS
    assert os.getpriority(os.PRIO_PROCESS, pid) == (BEFORE_OTHERS if allowed else own)


@once
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


@once
async def test_a_port_that_was_taken_meanwhile_is_let_go(engine: EmbeddedMediaEngine) -> None:
    port, pid = engine.port, engine.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        end = asyncio.get_running_loop().time() + 20
        while asyncio.get_running_loop().time() < end:
            try:
                thief.bind(("127.0.0.1", port))
                break
            except OSError:
                await asyncio.sleep(0.001)
        await until(lambda: engine.worker_pid not in {None, pid} and engine.port not in {0, port})


async def test_a_port_that_is_taken_from_the_start_is_an_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=str(port)):
            async with EmbeddedMediaEngine(state_dir=tmp_path, port=port):
                raise AssertionError("it must not start")


@once
async def test_a_stopped_worker_is_stuck_and_replaced(
    engine: EmbeddedMediaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.media_embedded.worker_link.SILENT_S", 0.5)
    pid = engine.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: engine.worker_pid not in {None, pid}, 30)


async def test_a_worker_that_is_let_go_says_goodbye(tmp_path: Path) -> None:
    async with AsyncExitStack() as peers:
        async with EmbeddedMediaEngine(state_dir=tmp_path / "state") as engine:
            pid = engine.worker_pid
            assert pid is not None
            sending = await peers.enter_async_context(publisher(whip(engine, ROOM)))
            seeing = await peers.enter_async_context(viewer(whep(engine, ROOM)))
            await seeing.sees("320623")
            os.kill(pid, signal.SIGTERM)  # systemd tells the whole group; the gateway decides
            await seeing.sees("320623", 5)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        for connection in (sending.connection, seeing.connection):
            await until(lambda connection=connection: connection.connectionState == "closed")


async def test_the_worker_dies_with_a_gateway_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine\n"
        "async def main():\n"
        "    async with EmbeddedMediaEngine(state_dir=pathlib.Path(sys.argv[1])) as engine:\n"
        "        print(engine.worker_pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert gateway.stdout is not None
    worker = int(await gateway.stdout.readline())
    gateway.kill()
    await gateway.wait()
    await until(
        lambda: not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes()
    )
