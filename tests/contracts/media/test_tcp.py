"""Passive ICE-TCP (RFC 6544): the picture comes where UDP does not, and comes back with the next connection."""

import socket
from pathlib import Path

import aioice.ice
import pytest
from playwright.async_api import async_playwright

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.bench.chromium import CHROMIUM, FLAGS, MARK
from gateway.ports.media import MediaEngine
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.peers import publisher, viewer
from tests.support.posts import whep, whip
from tests.support.tcp_bridge import by_tcp, without_udp

ROOM = "320623/room"
once = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path
PLAY = """async ([url, token]) => {
  const peer = window.peer = new RTCPeerConnection()
  peer.addTransceiver('video', { direction: 'recvonly' })
  peer.ontrack = (event) => { document.querySelector('video').srcObject = new MediaStream([event.track]) }
  await peer.setLocalDescription(await peer.createOffer())
  const answer = await fetch(url, { method: 'POST', body: peer.localDescription.sdp,
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` } })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
}"""
SEEN = """() => { const mark = silianMark(document.querySelector('video')); return mark && mark.code }"""
PAIR = """async () => { for (const one of (await peer.getStats()).values())
  if (one.type === 'transport') {
    const stats = await peer.getStats(), pair = stats.get(one.selectedCandidatePairId)
    return stats.get(pair.remoteCandidateId).protocol } }"""


class TcpFront(EngineFront):
    """A gateway whose answers reach the viewer without their UDP candidates, as behind a firewall that drops UDP."""

    def shown(self, answer: str) -> str:
        return without_udp(answer)


@pytest.mark.external
@once
async def test_chromium_shows_the_picture_over_tcp(engine: EmbeddedMediaEngine) -> None:
    async with TcpFront(engine) as front, publisher(whip(engine, ROOM)), async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.add_init_script(MARK)
        await page.goto(f"http://127.0.0.1:{front.port}/")
        await page.evaluate(PLAY, [front.whep(ROOM), TOKEN])
        await page.wait_for_function(f"({SEEN})() === '320623'", timeout=30_000)
        assert await page.evaluate(PAIR) == "tcp"
        assert (await engine.stats()).modes["tcp"] == "on"
        await browser.close()


async def test_publisher_and_viewer_over_tcp(engine: MediaEngine) -> None:
    async with (
        by_tcp(whip(engine, ROOM)) as (publish, up),
        by_tcp(whep(engine, ROOM)) as (play, down),
        publisher(publish, codec="VP8"),
        viewer(play) as seen,
    ):
        await seen.sees("320623", 20)
        assert up.packets
        assert down.packets > 20


@once
async def test_a_broken_connection_is_followed_by_the_next_one(
    engine: EmbeddedMediaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.3)
    async with by_tcp(whep(engine, ROOM)) as (play, bridge), publisher(whip(engine, ROOM)), viewer(play) as seen:
        await seen.sees("320623", 2)
        bridge.task.cancel()
        bridge.writer.close()
        await bridge.run("127.0.0.1", engine.port)
        await seen.sees("320623", 5)


async def test_a_port_taken_by_tcp_leaves_udp_alone(tmp_path: Path) -> None:
    with socket.socket() as holder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        probe.bind(("127.0.0.1", holder.getsockname()[1]))
        probe.close()
        port = holder.getsockname()[1]
        async with EmbeddedMediaEngine(state_dir=tmp_path, port=port) as engine:
            assert (await engine.stats()).modes["tcp"] == "taken"
            async with publisher(whip(engine, ROOM)), viewer(whep(engine, ROOM)) as seen:
                await seen.sees("320623", 2)
    async with EmbeddedMediaEngine(state_dir=tmp_path, tcp=False) as engine:
        assert (await engine.stats()).modes["tcp"] == "off"
        async with publisher(whip(engine, ROOM)):
            pass
