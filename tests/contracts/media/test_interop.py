"""Third parties' clients against the engine: werift, whip-whep in Chromium. Each ends in media that was decrypted."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.bench.chromium import CHROMIUM, FLAGS, MARK
from gateway.ports.media import MediaEngine
from tests.support.asked import until_page_answers
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"
INTEROP = Path(__file__).resolve().parents[2] / "support" / "interop"
NODE = shutil.which("node") or "node"
once = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path
pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(not (INTEROP / "node_modules").is_dir(), reason="npm ci --prefix tests/support/interop"),
]


@contextlib.asynccontextmanager
async def node(script: str, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a script; ended by closing its input."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(NODE, str(INTEROP / script), *words, stdin=pipe, stdout=pipe)
    try:
        yield process
        process.stdin.close()
        async with asyncio.timeout(20):
            await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@once
@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_werift_views(engine: MediaEngine, codec: str) -> None:
    async with EngineFront(engine) as front, publisher(whip(engine, ROOM), codec=codec, rate=25):
        async with node("werift_whep.mjs", front.whep(ROOM), TOKEN, "40") as process:
            async with asyncio.timeout(30):
                seen = json.loads(await process.stdout.readline())
        assert seen["packets"] >= 40
        assert seen["bytes"] > 10_000
        assert len(seen["types"]) == 1, "one codec, whatever was offered"
        await until(lambda: front.deleted)


@once
async def test_werift_publishes(engine: MediaEngine) -> None:
    """The pictures are ffmpeg's, their RTP is carried by werift; a viewer decodes them."""
    async with EngineFront(engine) as front, node("werift_whip.mjs", front.whip(ROOM), TOKEN) as process:
        async with asyncio.timeout(30):
            port = json.loads(await process.stdout.readline())["port"]
        words = "-v error -re -f lavfi -i testsrc=size=320x240:rate=15 -c:v libvpx -deadline realtime -g 15 -f rtp"
        film = await asyncio.create_subprocess_exec(
            "ffmpeg", *words.split(), f"rtp://127.0.0.1:{port}?pkt_size=1200", stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with viewer(whep(engine, ROOM)) as seen:
                await until(lambda: seen.frames >= 15)
                assert (seen.last.width, seen.last.height) == (320, 240)
        finally:
            film.kill()
            await film.wait()
    await until(lambda: front.deleted)


class LibraryFront(EngineFront):
    """Serves the npm library beside the endpoints."""

    def library(self, name: str) -> str:
        return (INTEROP / "node_modules" / "whip-whep" / name).read_text("utf-8")


ONE_CODEC = """async ([url, token, codec]) => {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } })
  const peer = window.sender = new RTCPeerConnection()
  const one = peer.addTransceiver(stream.getTracks()[0], { direction: 'sendonly', streams: [stream] })
  const known = RTCRtpSender.getCapabilities('video').codecs
  one.setCodecPreferences(known.filter(({ mimeType }) => mimeType === `video/${codec}`))
  await peer.setLocalDescription(await peer.createOffer())
  const answer = await fetch(url, { method: 'POST', body: peer.localDescription.sdp,
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` } })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
}"""
PUBLISH = """async ([url, token]) => {
  const { WHIPClient } = await import('/whip.js')
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 }, audio: true })
  const peer = new RTCPeerConnection()
  for (const track of stream.getTracks()) peer.addTransceiver(track, { direction: 'sendonly', streams: [stream] })
  window.out = new WHIPClient()
  await out.publish(peer, url, token)
}"""
VIEW = """async ([url, token]) => {
  const { WHEPClient } = await import('/whep.js')
  const peer = new RTCPeerConnection()
  peer.addTransceiver('video', { direction: 'recvonly' })
  peer.addTransceiver('audio', { direction: 'recvonly' })
  const shown = document.querySelector('video').srcObject = new MediaStream()
  peer.ontrack = ({ track }) => shown.addTrack(track)
  window.into = new WHEPClient()
  await into.view(peer, url, token)
}"""
DECODED = """async () => {
  let frames = 0, sounds = 0
  for (const one of (await into.pc.getStats()).values()) if (one.type === 'inbound-rtp') {
    if (one.kind === 'video') frames = one.framesDecoded
    else sounds = one.totalSamplesReceived }
  return frames >= 20 && sounds > 0 ? { frames, sounds } : null }"""
RESTART = "async () => { const before = into.pc.localDescription.sdp; await into.restart(); return before }"


async def test_whip_whep_publishes_views_and_restarts_ice(tmp_path: Path) -> None:
    """Without TCP: with a second candidate the library's ICE restart writes SDP that no browser reads."""
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path, tcp=False) as engine,
        LibraryFront(engine) as front,
        async_playwright() as play,
    ):
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.add_init_script(MARK)
        await page.goto(f"http://127.0.0.1:{front.port}/")
        await page.evaluate(PUBLISH, [front.whip(ROOM), TOKEN])
        await page.evaluate(VIEW, [front.whep(ROOM), TOKEN])
        await until_page_answers(page, DECODED, 30)
        async with viewer(whep(engine, ROOM), audio=True) as seen:
            await until(lambda: seen.frames >= 10 and seen.samples)
        await page.evaluate(RESTART)
        before = await page.evaluate(FRAMES)
        await until_page_answers(page, f"async (least) => await ({FRAMES})() >= least", 30, before + 10)
        assert await page.evaluate("() => into.pc.iceConnectionState") in {"connected", "completed"}
        await page.evaluate("async () => { await into.stop(); await out.stop() }")
        await until(lambda: len(front.deleted) == 2)
        await browser.close()


FRAMES = """async () => { for (const one of (await into.pc.getStats()).values())
  if (one.type === 'inbound-rtp' && one.kind === 'video') return one.framesDecoded }"""


@once
@pytest.mark.parametrize("codec", ["VP9", "AV1"])
async def test_chromium_sees_codecs_that_are_only_passed_on(engine: MediaEngine, codec: str) -> None:
    async with LibraryFront(engine) as front, async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{front.port}/")
        await page.evaluate(ONE_CODEC, [front.whip(ROOM), TOKEN, codec])
        for _ in range(2):  # the second one begins at the kept group
            await page.evaluate(VIEW, [front.whep(ROOM), TOKEN])
            await until_page_answers(page, f"async () => await ({FRAMES})() >= 15", 30)
        (stream,) = (await engine.stats()).streams
        assert stream.codec == codec.lower()
        assert stream.key_frames >= 1
        await browser.close()
