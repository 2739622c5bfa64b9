"""A picture watched at three tiers crosses the county's line once: counted by the kernel, not by us.

The demo runs in a network namespace of its own; nft counts the media that arrives at the UDP port of each gateway:
from the agent at the city, from the city at the province, from the province at the nation.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gateway.demo.check import Judge
from tests.support.running_demo import RunningDemo, running_demo

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(600)]
SECONDS = 8
STREAM = "320612/room"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("namespaces and nft need root")
    with running_demo(tmp_path_factory.mktemp("once") / "state", counties=2, namespace=True) as running:
        yield running


def nft(demo: RunningDemo, *words: str) -> str:
    done = subprocess.run([*demo.prefix, "nft", *words], check=True, capture_output=True, text=True)
    return done.stdout


class Counters:
    """Bytes by name of rule."""

    def __init__(self, demo: RunningDemo) -> None:
        self._demo = demo
        places = demo.places["gateways"]
        ports = {code: place["media_port"] for code, place in places.items()}
        nft(demo, "add", "table", "inet", "silian")
        nft(demo, "add", "chain", "inet", "silian", "line", "{ type filter hook input priority 0 ; }")
        for name, code in (("county", "320600"), ("to_province", "320000"), ("to_nation", "000000")):
            # RTP and RTCP (version 2 in the first two bits), not STUN or DTLS; who sends it does not matter.
            self._count(name, f"udp dport {ports[code]} @th,64,8 & 0xc0 == 0x80")

    def _count(self, name: str, rule: str) -> None:
        nft(self._demo, "add", "counter", "inet", "silian", name)
        nft(self._demo, "add", "rule", "inet", "silian", "line", *rule.split(), "counter", "name", name)

    def read(self) -> dict[str, int]:
        """Return bytes so far."""
        rows = json.loads(nft(self._demo, "-j", "list", "counters"))["nftables"]
        return {row["counter"]["name"]: row["counter"]["bytes"] for row in rows if "counter" in row}


async def watched(judge: Judge, counters: Counters, codes: list[str], viewers: int) -> dict[str, int]:
    # The first look lets the stream start, so that only steady running is counted.
    await judge.ask("watch", codes=codes, stream=STREAM, viewers=1, seconds=1)
    before = counters.read()
    answer = await judge.ask("watch", codes=codes, stream=STREAM, viewers=viewers, seconds=SECONDS)
    after = counters.read()
    assert min(answer["frames"]) > SECONDS * 5, answer
    return {name: after[name] - before[name] for name in after}


async def test_three_tiers_cost_the_county_line_one_stream(demo, tmp_path):
    counters = Counters(demo)
    judge = await Judge.start(demo.state_dir / "demo.json", tmp_path / "judge.log", 1, prefix=demo.prefix)
    await judge.ask("begin")
    alone = await watched(judge, counters, ["320600"], 1)
    every = await watched(judge, counters, ["320600", "320000", "000000"], 2)
    verdict = await judge.ask("verdict")
    assert verdict["faults"] == [], Path(tmp_path / "judge.log").read_text()
    assert await judge.finish() == 0
    # Viewers' own RTCP reaches the city's port too; it is small beside a picture.
    assert 0.7 < every["county"] / alone["county"] < 1.4, (alone, every)
    assert 0.7 < every["to_province"] / every["county"] < 1.4, "the city sends one copy to the province"
    assert 0.7 < every["to_nation"] / every["county"] < 1.4, "the province sends one copy to the nation"
