"""An engine and its peers in a namespace with two network cards, every packet that leaves for elsewhere counted by nft.

Run under `unshare --net`: `python -m tests.support.networks DIR`. Writes one JSON object with what was seen.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import aioice.ice

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.peers import Viewer, publisher, until, viewer
from tests.support.posts import Post

ROOM, FILM = "320623/room", "320623/film"
CARDS = {"card0": ("10.71.0.1", "10.71.0.9"), "card1": ("10.72.0.1", "10.72.0.9")}
"""Each card's address of the engine and of a peer."""


def run(words: str) -> str:
    """Run a command of the system."""
    return subprocess.run(words.split(), check=True, capture_output=True, text=True).stdout


def cards() -> None:
    """Make the cards, a way out that leads nowhere, and the counter of whatever would take it."""
    run("ip link set lo up")
    for name, addresses in CARDS.items():
        run(f"ip link add {name} type veth peer name far-{name}")
        run(f"ip link set far-{name} up")
        for address in addresses:
            run(f"ip addr add {address}/24 dev {name}")
        run(f"ip link set {name} up")
    run("ip route add default via 10.71.0.254")
    run("nft add table inet watch")
    run("nft add chain inet watch out { type filter hook output priority 0 ; }")
    own = "127.0.0.0/8, 10.71.0.0/24, 10.72.0.0/24"
    run(f"nft add rule inet watch out ip daddr != {{ {own} }} counter")
    run("nft add rule inet watch out meta nfproto ipv6 ip6 daddr != { ::1, fe80::/10, ff02::/16 } counter")


def strangers() -> int:
    """Return how many packets were sent to any other address."""
    return sum(int(count) for count in re.findall(r"counter packets (\d+)", run("nft list table inet watch")))


def stand(address: str) -> None:
    """Let the peers that are made from now on have this address alone."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address] if use_ipv4 else []


def told(answer: str) -> list[str]:
    """Return the addresses that an answer names for UDP."""
    return re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) ", answer)


class From:
    """Posts to the engine as a request from `client` would, and keeps the answer."""

    def __init__(self, take: object, stream: str, client: str) -> None:
        self._take, self._stream, self._client = take, stream, client
        self.answer = ""

    @property
    def post(self) -> Post:
        async def post(offer: str) -> str:
            self.answer = (await self._take(self._stream, offer, client=self._client)).sdp
            return self.answer

        return post


async def zones(engine: EmbeddedMediaEngine, found: dict[str, object]) -> None:
    """A publisher at one card, a viewer at the other: each is told the address of its own."""
    (_, here), (_, there) = CARDS.values()
    stand(here)
    up = From(engine.publish, ROOM, here)
    async with publisher(up.post):
        stand(there)
        down = From(engine.play, ROOM, there)
        async with viewer(down.post) as seen:
            await seen.sees("320623", 10)
            found |= {"publisher_told": told(up.answer), "viewer_told": told(down.answer)}
            run("ip route del default")
            await seen.sees("320623", 20)
            found["route"] = run("ip route show default").strip()


async def decoded(seen: Viewer, frames: int) -> int:
    """Wait for so many pictures; returns their width."""
    await until(lambda: seen.frames >= frames, 40)
    return seen.last.width


async def gstreamer(engine: EmbeddedMediaEngine, found: dict[str, object]) -> None:
    """Debian's whip-client publishes a test picture."""
    client, compiler = shutil.which("whip-client"), shutil.which("cc")
    if client is None or compiler is None:
        found["gstreamer"] = "missing"
        return
    own = Path(sys.argv[1])
    stub = Path(__file__).parent / "interop" / "no_upnp.c"
    run(f"{compiler} -shared -fPIC -Wl,-soname,libgupnp-igd-1.0.so.4 -o {own}/libgupnp-igd-1.0.so.4 {stub}")
    source = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! videoconvert"
    encoder = "vp8enc deadline=1 keyframe-max-dist=15 ! rtpvp8pay pt=96 ssrc=2 ! queue"
    caps = "application/x-rtp,media=video,encoding-name=VP8,payload=96"
    async with EngineFront(engine) as front:
        words = ["-u", front.whip(FILM), "-t", TOKEN, "-V", f"{source} ! {encoder} ! {caps}", "-l", "3", "-o"]
        process = await asyncio.create_subprocess_exec(
            client, *words, stdout=subprocess.DEVNULL, stderr=sys.stderr,
            env={**os.environ, "GST_REGISTRY": str(own / "registry.bin"), "LD_LIBRARY_PATH": str(own)},
        )  # fmt: skip
        try:
            stand(CARDS["card0"][1])
            async with viewer(From(engine.play, FILM, CARDS["card0"][1]).post) as seen:
                found["gstreamer"] = await decoded(seen, 20)
            process.send_signal(2)
            await until(lambda: front.deleted, 20)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def main(state: Path) -> dict[str, object]:
    """Do all of it with one engine."""
    found: dict[str, object] = {}
    entries = ["10.71.0.1", "10.71.0.0/24=10.71.0.1", "10.72.0.0/24=10.72.0.1"]
    async with EmbeddedMediaEngine(state_dir=state, advertise=entries) as engine:
        await zones(engine, found)
        run("ip route add default via 10.71.0.254")  # whatever would leave is counted
        await gstreamer(engine, found)
    found["strangers"] = strangers()
    return found


if __name__ == "__main__":
    cards()
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
