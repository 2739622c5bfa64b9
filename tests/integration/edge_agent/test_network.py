"""News of the network from the real kernel, in a network namespace of its own."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.network import kinds

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import asyncio, subprocess
from edge_agent.network import watch
async def main():
    heard = []
    watching = asyncio.ensure_future(watch(lambda: heard.append(1)))
    await asyncio.sleep(0.3)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for _ in range(100):
        if heard: break
        await asyncio.sleep(0.1)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    print("heard", len(heard))
asyncio.run(main())
"""


@pytest.mark.external
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"), reason="needs root, ip")
def test_a_link_that_comes_up_is_one_hint():
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    if found.returncode and "unshare failed" in found.stderr:
        pytest.skip("no network namespaces here")
    assert found.stdout.split() == ["heard", "1"], found.stderr


def test_messages_are_told_apart_and_damage_ends_the_datagram():
    def message(kind, body=b""):
        return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body.ljust((len(body) + 3) & ~3, b"\0")

    assert list(kinds(message(16, b"abcde") + message(24))) == [16, 24]
    assert list(kinds(message(20) + b"\x05\0\0\0" + bytes(20))) == [20]
    assert list(kinds(b"")) == []
