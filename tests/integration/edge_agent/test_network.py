"""News of the network from the real kernel, in a network namespace of its own."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.network import kinds, place

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import asyncio, subprocess
from edge_agent.network import watch
async def heard_after(heard, *commands):
    heard.clear()
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
    for _ in range(100):
        if heard: break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    print(*heard, sep=",")
async def main():
    heard = []
    watching = asyncio.ensure_future(watch(heard.append))
    await asyncio.sleep(0.3)
    await heard_after(heard, "link set lo up")
    await heard_after(heard, "addr add 10.77.0.1/24 dev lo")
    await heard_after(heard, "addr add 10.77.9.1/24 dev lo", "addr del 10.77.0.1/24 dev lo")
    await heard_after(heard, "addr del 10.77.9.1/24 dev lo", "addr add 10.77.9.1/24 dev lo")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
asyncio.run(main())
"""


@pytest.mark.external
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"), reason="needs root, ip")
def test_what_comes_is_one_hint_and_other_addresses_are_a_move():
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    if found.returncode and "unshare failed" in found.stderr:
        pytest.skip("no network namespaces here")
    assert found.stdout.split() == ["False", "False", "True", "False"], found.stderr


def test_a_place_is_its_addresses_and_its_way_out(tmp_path):
    (tmp_path / "fib_trie").write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.32.6.20\n        /32 host LOCAL\n     |-- 10.32.6.255\n"
        "        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n"
    )
    (tmp_path / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe800000000000000000000000000001 02 40 20 80     eth0\n"
        "20010db8000000000000000000000001 02 40 00 80     eth0\n"
    )
    (tmp_path / "route").write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "lte0\t00000000\t0100007A\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
        "eth0\t00000000\t0106200A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        "eth0\t0006200A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    )
    assert place(tmp_path) == {"10.32.6.20", "20010db8000000000000000000000001", "eth0 0106200A"}
    assert place(tmp_path / "none") == frozenset()


def test_messages_are_told_apart_and_damage_ends_the_datagram():
    def message(kind, body=b""):
        return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body.ljust((len(body) + 3) & ~3, b"\0")

    assert list(kinds(message(16, b"abcde") + message(24))) == [16, 24]
    assert list(kinds(message(20) + b"\x05\0\0\0" + bytes(20))) == [20]
    assert list(kinds(b"")) == []
