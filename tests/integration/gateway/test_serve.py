"""`silian serve` as a real process: ready, watched, drained, killed, alone on its state."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[3]
LIMIT_S = 200


def silian(*arguments, text=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "gateway", *map(str, arguments)],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, **environment},
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Systemd:
    """The receiving end of sd_notify."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(LIMIT_S)

    def hear(self):
        return self.socket.recv(4096).decode()

    def until(self, word):
        while (heard := self.hear()) != word:
            assert heard == "WATCHDOG=1"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[centre]\ncode = "320600"\n[state]\ndir = "state"\n[http]\nport = {free_port()}\n'
        f'[management]\nport = {free_port()}\n[broker]\nport = 0\nkind = "embedded"\n[log]\nformat = "json"\n'
    )
    return path


@pytest.fixture
def systemd(tmp_path):
    systemd = Systemd(tmp_path)
    yield systemd
    systemd.socket.close()


@pytest.fixture
def serve(file, systemd):
    running = []

    def start():
        environment = {**os.environ, "NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "400000"}
        command = [sys.executable, "-m", "gateway", "serve", "-c", str(file)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def base(file):
    from gateway.settings import load_settings

    return load_settings(file, environment={})


async def test_ready_watched_and_drained(file, serve, systemd):
    process = serve()
    await asyncio.to_thread(systemd.until, "READY=1")
    settings = base(file)
    async with httpx.AsyncClient(base_url=settings.base_url, trust_env=False) as client:
        assert (await client.get("/healthz")).status_code == 200
        async with httpx.AsyncClient(trust_env=False) as other:
            text = (await other.get(f"http://127.0.0.1:{settings.management.port}/metrics")).text
            assert "silian_event_loop_lag_seconds_bucket" in text
            assert "silian_broker_production 0" in text
            tasks = (await other.get(f"http://127.0.0.1:{settings.management.port}/debug/tasks")).json()
            assert any("http[" in task["name"] for task in tasks)
    assert await asyncio.to_thread(systemd.hear) == "WATCHDOG=1"
    broker = int((settings.state.dir / "broker" / "pid").read_text())
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(systemd.until, "STOPPING=1")
    assert await asyncio.to_thread(process.wait, LIMIT_S) == 0
    assert not Path(f"/proc/{broker}").exists()


async def test_an_open_event_stream_does_not_hold_up_the_drain(file, serve, systemd):
    settings = base(file)
    wish = (
        '{"users": [{"name": "duty", "display_name": "值班", "roles": ["duty_officer"], "password": "abcd-efgh-jkmn"}]}'
    )
    assert (await asyncio.to_thread(silian, "provision", "-c", file, text=wish)).returncode == 0
    process = serve()
    await asyncio.to_thread(systemd.until, "READY=1")
    async with httpx.AsyncClient(base_url=settings.base_url, trust_env=False, timeout=LIMIT_S) as client:
        login = await client.post("/api/v1/session", json={"username": "duty", "password": "abcd-efgh-jkmn"})
        headers = {"Authorization": f"Bearer {login.json()['token']}"}
        async with client.stream("GET", "/api/v1/events", headers=headers) as events:
            lines = events.aiter_lines()
            assert await anext(lines) == "event: hello"
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, LIMIT_S) == 0
            async for _ in lines:
                pass  # the stream ends properly


async def test_a_killed_gateway_comes_back_on_its_state(file, serve, systemd):
    process = serve()
    await asyncio.to_thread(systemd.until, "READY=1")
    settings = base(file)
    first = (settings.state.dir / "first-login.txt").read_text()
    authority = (settings.pki_dir / "ca.crt").read_bytes()
    process.kill()
    process.wait()
    serve()
    await asyncio.to_thread(systemd.until, "READY=1")
    assert (settings.state.dir / "first-login.txt").read_text() == first
    assert (settings.pki_dir / "ca.crt").read_bytes() == authority


async def test_a_second_gateway_on_the_same_state_is_refused_and_the_command_line_asks_the_first(
    file, serve, systemd, tmp_path
):
    wish = '{"users": [{"name": "ops", "display_name": "运维", "roles": ["operations"], "password": "abcd-efgh-jkmn"}]}'
    assert (await asyncio.to_thread(silian, "provision", "-c", file, text=wish)).returncode == 0
    serve()
    await asyncio.to_thread(systemd.until, "READY=1")
    other = tmp_path / "other.toml"
    text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("port"))
    other.write_text(text.replace("[http]", "[http]\nport = 0").replace("[management]", "[management]\nport = 0"))
    second = await asyncio.to_thread(silian, "serve", "-c", other)
    assert second.returncode == 2
    assert "in use by" in second.stderr

    refused = await asyncio.to_thread(silian, "enrol-token", "320623-box", "-c", file)
    assert (refused.returncode, "--as" in refused.stderr) == (2, True)
    wrong = await asyncio.to_thread(
        silian, "enrol-token", "320623-box", "-c", file, "--as", "ops", SILIAN_PASSWORD="wrong"
    )
    assert wrong.returncode == 1
    made = await asyncio.to_thread(
        silian, "enrol-token", "320623-box", "-c", file, "--as", "ops", SILIAN_PASSWORD="abcd-efgh-jkmn"
    )
    assert made.stdout.startswith("320623-box.")
    users = await asyncio.to_thread(silian, "user", "list", "-c", file, "--as", "ops", SILIAN_PASSWORD="abcd-efgh-jkmn")
    assert "ops" in users.stdout


async def test_a_taken_port_ends_the_start_with_its_name_and_leaves_nothing(file):
    settings = base(file)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.http.port))
        taken.listen()
        done = await asyncio.to_thread(silian, "serve", "-c", file)
    assert done.returncode == 2
    assert str(settings.http.port) in done.stderr.splitlines()[-1]
    assert not (settings.state.dir / "broker" / "pid").exists()


async def test_provision_may_be_repeated(file, tmp_path):
    answer = tmp_path / "made.json"
    first = await asyncio.to_thread(
        silian, "provision", "-c", file, "--one-per-role", "--nodes", "320612-box,320623", "--json", answer
    )
    assert first.returncode == 0, first.stderr
    assert answer.stat().st_mode & 0o777 == 0o600
    import json

    made = json.loads(answer.read_text())
    assert len(made["users"]) == 5
    assert all(user["password"] for user in made["users"])
    assert set(made["tokens"]) == {"320612-box", "320623"}
    again = await asyncio.to_thread(silian, "provision", "-c", file, "--one-per-role")
    assert [user["password"] for user in json.loads(again.stdout)["users"]] == [None] * 5
    assert json.loads(again.stdout)["ca_sha256"] == made["ca_sha256"]
