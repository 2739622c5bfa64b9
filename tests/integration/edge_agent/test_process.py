"""The agent as a process without any gateway: ready, light, taking alarms, drained by SIGTERM, and again."""

import asyncio
import hashlib
import hmac
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from protocols.aio.clock import SystemClock
from protocols.aio.spool import Spool
from protocols.envelope import Lane

ROOT = Path(__file__).resolve().parents[3]
REPORT = json.dumps({"alarm_key": "gas-1/high", "sensor": "gas-1", "severity": 1, "headline": "超限"}).encode()


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "secret").write_text("0123456789abcdef0123")
    file = tmp_path / "agent.toml"
    file.write_text(f"""
[node]
id = "320623-box"
[gateway]
url = "http://127.0.0.1:9"
[state]
dir = "{tmp_path}/state"
quota_mb = 16
ballast_mb = 1
[webhook]
enabled = true
port = 0
secret_file = "{tmp_path}/secret"
[management]
port = 0
[[cameras]]
name = "room"
kind = "testcard"
audio = "tone"
""")
    return file


class Process:
    """A running `python -m edge_agent run`."""

    def __init__(self, settings):
        self.log = settings.with_suffix(".log")
        with self.log.open("w") as out:
            command = [sys.executable, "-m", "edge_agent", "run", "-c", str(settings)]
            self.child = subprocess.Popen(command, stderr=out, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})

    def port(self, listener):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = re.search(rf"listener={listener} host=\S+ port=(\d+)", self.log.read_text())
            if found and "agent ready" in self.log.read_text():
                return int(found[1])
            assert self.child.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(30)


def test_a_box_without_a_gateway_takes_alarms_and_keeps_them(settings):
    signature = "sha256=" + hmac.new(b"0123456789abcdef0123", REPORT, hashlib.sha256).hexdigest()
    headers = {"X-Silian-Signature": signature, "Idempotency-Key": "one"}
    ids = []
    for _ in range(2):
        agent = Process(settings)
        try:
            url = f"http://127.0.0.1:{agent.port('webhook')}/ingest/alarms"
            with httpx.Client(trust_env=False, timeout=20) as http:
                answer = http.post(url, content=REPORT, headers=headers)
                assert answer.status_code == 202
                ids.append(answer.json()["event_ids"])
                metrics = http.get(f"http://127.0.0.1:{agent.port('management')}/metrics").text
        finally:
            code = agent.end()
        assert code == 0, agent.log.read_text()
        assert "agent stopped" in agent.log.read_text()
        assert "Traceback" not in agent.log.read_text()
        assert 'silian_box_link_up{centre="320623",node="320623-box",plane="control"} 0.0' in metrics
        assert 'silian_box_spool_messages{centre="320623",node="320623-box"} 1.0' in metrics
        assert "0123456789abcdef0123" not in agent.log.read_text()
    assert ids[0] == ids[1]


def test_idle_memory_stays_below_200_mb(settings):
    agent = Process(settings)
    try:
        agent.port("management")
        time.sleep(4)
        status = Path(f"/proc/{agent.child.pid}/status").read_text()
    finally:
        agent.end()
    assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024 <= 200


def test_a_wrong_key_is_one_line_and_exit_2(settings):
    settings.write_text(settings.read_text().replace("quota_mb", "quota_bm"))
    command = [sys.executable, "-m", "edge_agent", "run", "-c", str(settings)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "state.quota_bm: no such key; nearest is quota_mb" in found.stderr


def test_the_doctor_says_what_is_missing_and_what_to_type(settings):
    settings.write_text(settings.read_text() + '[[cameras]]\nname = "gone"\nkind = "file"\npath = "/none.mp4"\n')
    command = [sys.executable, "-m", "edge_agent", "doctor", "-c", str(settings)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=100)
    assert found.returncode == 1, found.stderr
    lines = found.stdout.splitlines()
    assert any(line.startswith("✓ camera room") for line in lines)
    assert any(line.startswith("✗ camera gone") for line in lines)
    assert any(line.startswith("✗ gateway") for line in lines)
    assert any(line.startswith("✗ identity") for line in lines)
    assert "silian enrol-token 320623-box" in found.stdout


@pytest.mark.slow
def test_alarms_said_to_be_taken_survive_kills_and_a_retry_doubles_none(settings, tmp_path):
    acknowledged: dict[str, list[str]] = {}
    number = 0
    for _ in range(3):
        agent = Process(settings)
        url = f"http://127.0.0.1:{agent.port('webhook')}/ingest/alarms"
        with httpx.Client(trust_env=False, timeout=20) as http:
            for _ in range(15):
                number += 1
                _post(http, url, number, acknowledged)
            agent.child.kill()
            agent.child.wait()
            with pytest.raises(httpx.TransportError):
                _post(http, url, number + 1, acknowledged)
    last = Process(settings)
    url = f"http://127.0.0.1:{last.port('webhook')}/ingest/alarms"
    with httpx.Client(trust_env=False, timeout=20) as http:
        for again in range(1, number + 1):
            before = acknowledged[f"k{again}"]
            _post(http, url, again, acknowledged)
            assert acknowledged[f"k{again}"] == before
    assert last.end() == 0
    stored = asyncio.run(_stored(tmp_path / "state" / "spool.sqlite3"))
    assert set(stored) == {id_ for ids in acknowledged.values() for id_ in ids}


def _post(http, url, number, acknowledged):
    body = json.dumps({"alarm_key": f"k{number}", "sensor": "s", "severity": 3, "headline": "超限"}).encode()
    signature = "sha256=" + hmac.new(b"0123456789abcdef0123", body, hashlib.sha256).hexdigest()
    headers = {"X-Silian-Signature": signature, "Idempotency-Key": f"k{number}"}
    answer = http.post(url, content=body, headers=headers)
    assert answer.status_code == 202
    acknowledged[f"k{number}"] = answer.json()["event_ids"]


async def _stored(path):
    spool = await Spool.open(path, clock=SystemClock())
    found = []
    for lane in (Lane.URGENT, Lane.LIVE, Lane.BACKFILL):
        found += [json.loads(parcel.body)["event"]["id"] for parcel in await spool.pending(lane, 0, 1000)]
    await spool.close()
    return found
