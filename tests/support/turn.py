"""A publisher and a viewer whose only way to the engine is a TURN server: coturn, with credentials of a gateway.

Run under `unshare --net`: `python -m tests.support.turn DIR`. Writes one JSON object with what was seen. The peers have
one address; whatever goes from there to any other place than the TURN server is dropped and counted.
"""

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.media.ice_servers import link_headers
from gateway.settings.media import IceServerSection
from tests.support import peers
from tests.support.networks import From, run, stand
from tests.support.until import until

ROOM = "320623/room"
PEER, TURN, ENGINE, RELAY = "10.73.0.9", "10.73.0.1", "10.74.0.1", "10.74.0.9"
"""The TURN server listens at the second address and relays from the last one."""
SECRET = "a secret that both sides know"


def wires() -> None:
    """Make the addresses, and let the peers' one reach nothing but the TURN server."""
    run("ip link set lo up")
    run("ip link add card type veth peer name far")
    for address in (PEER, TURN, ENGINE, RELAY):
        run(f"ip addr add {address}/24 dev card")
    for name in ("card", "far"):
        run(f"ip link set {name} up")
    run("nft add table inet wall")
    run("nft add chain inet wall in { type filter hook input priority 0 ; }")
    for far in ("saddr", "daddr"):
        near = "daddr" if far == "saddr" else "saddr"
        run(f"nft add rule inet wall in ip {near} {PEER} ip {far} != {{ {PEER}, {TURN} }} counter drop")


def turned_away() -> int:
    """Return how many packets between the peers and other addresses were dropped."""
    return sum(int(count) for count in re.findall(r"counter packets (\d+)", run("nft list table inet wall")))


def told() -> RTCIceServer:
    """Read the header by which a gateway tells of its TURN server, as a client does."""
    section = IceServerSection(url=f"turn:{TURN}:3478?transport=udp", secret=SECRET, hours=1.0)
    (header,) = link_headers([section], "a-session", datetime.now(UTC))
    found = re.fullmatch(r'<([^>]+)>; rel="ice-server"; username="([^"]+)"; credential="([^"]+)"; .*', header)
    assert found is not None
    return RTCIceServer(urls=found[1], username=found[2], credential=found[3])


def server(folder: Path) -> subprocess.Popen[bytes]:
    """Start coturn."""
    words = [
        *("turnserver", "-n", "--listening-ip", TURN, "--listening-port", "3478", "--relay-ip", RELAY),
        *(
            "--realm",
            "silian",
            "--use-auth-secret",
            "--static-auth-secret",
            SECRET,
            "--no-tls",
            "--no-dtls",
            "--no-cli",
        ),
        *("--min-port", "50000", "--max-port", "50100", "--log-file", "stdout", "--simple-log"),
        *("--pidfile", str(folder / "turn.pid"), "--userdb", str(folder / "turn.db")),
    ]
    return subprocess.Popen(words, stdout=(folder / "turn.log").open("wb"), stderr=subprocess.STDOUT)


def used(connection: Any) -> list[str]:
    """Return the kinds of local candidates over which a connection goes."""
    transport = connection.sctp or connection.getTransceivers()[0].receiver
    ice = transport.transport.transport._connection
    return [pair.local_candidate.type for pair in ice._nominated.values()]


async def main(folder: Path) -> dict[str, object]:
    """Publish and view through the TURN server."""
    found: dict[str, object] = {}
    plain = RTCConfiguration
    peers.RTCConfiguration = lambda iceServers: plain(iceServers=[told()])
    stand(PEER)
    process = server(folder)
    try:
        await until(lambda: run("ss -Hlun sport = :3478"), 20)
        async with EmbeddedMediaEngine(state_dir=folder / "engine", advertise=[ENGINE]) as engine:
            up, down = From(engine.publish, ROOM, PEER), From(engine.play, ROOM, PEER)
            async with peers.publisher(up.post) as source, peers.viewer(down.post) as seen:
                await seen.sees("320623", 10, 40)
                found |= {"publisher": used(source.connection), "viewer": used(seen.connection)}
            found["told"] = sorted(set(re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) ", up.answer + down.answer)))
    finally:
        process.terminate()
        process.wait()
    found["turned_away"] = turned_away()
    return found


if __name__ == "__main__":
    wires()
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
