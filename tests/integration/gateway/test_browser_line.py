"""Chromium on both ends of a line that loses packets: its estimate ramps up by our feedback, our RTX repairs it."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.bench.chromium import CHROMIUM, FLAGS
from gateway.bench.impair import BadLine, Impairment
from gateway.ports.media import SessionKind
from tests.support.engine_front import TOKEN, EngineFront

ROOM = "320623/room"
OPEN = """async ([url, token, sending]) => {
  const peer = new RTCPeerConnection()
  if (sending) {
    const media = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 } })
    peer.addTransceiver(media.getVideoTracks()[0], { direction: 'sendonly' })
    window.source = peer
  } else {
    peer.addTransceiver('video', { direction: 'recvonly' })
    peer.ontrack = (event) => { document.querySelector('video').srcObject = new MediaStream([event.track]) }
    window.sink = peer
  }
  await peer.setLocalDescription(await peer.createOffer())
  const answer = await fetch(url, { method: 'POST', body: peer.localDescription.sdp,
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` } })
  const sdp = await answer.text()
  await peer.setRemoteDescription({ type: 'answer', sdp })
  return sdp
}"""
RATE = """async () => { for (const one of (await source.getStats()).values())
  if (one.type === 'candidate-pair' && one.availableOutgoingBitrate > 1500000) return one.availableOutgoingBitrate }"""
REPAIRED = """async () => { for (const one of (await sink.getStats()).values())
  if (one.type === 'inbound-rtp' && one.retransmittedPacketsReceived >= 5 && one.framesDecoded >= 50)
    return one.retransmittedPacketsReceived }"""


class LossyFront(EngineFront):
    """A gateway behind a line that loses a twentieth on the way to the browser."""

    line: BadLine

    def shown(self, answer: str) -> str:
        return self.line.through(answer)


@pytest.mark.external
async def test_chromium_ramps_up_and_is_repaired(tmp_path: Path) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path) as engine,
        BadLine(engine.port, down=Impairment(loss=0.05, delay_s=0.01), seed=3) as line,
        LossyFront(engine) as front,
        async_playwright() as play,
    ):
        front.line = line
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{front.port}/")
        for url, sending in ((front.whip(ROOM), True), (front.whep(ROOM), False)):
            answer = await page.evaluate(OPEN, [url, TOKEN, sending])
            assert "transport-wide-cc" in answer
            assert ("a=ssrc-group:FID" in answer) is not sending
        async with asyncio.timeout(60):
            while not (await page.evaluate(RATE) and await page.evaluate(REPAIRED)):
                await asyncio.sleep(0.2)
        (sink,) = [one for one in (await engine.stats()).lines if one.kind is SessionKind.WHEP]
        assert (sink.estimate_bps or 0) >= 500_000, "random loss is no congestion"
        assert sink.rtt_ms is not None
        await browser.close()
