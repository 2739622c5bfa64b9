"""A browser publishes the newer codecs, with layers too: the picture is seen, kept as a still and recorded."""

import asyncio
import io
from pathlib import Path

import av
import pytest
from playwright.async_api import async_playwright

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.bench.chromium import CHROMIUM, FLAGS
from tests.support.asked import until_page_answers
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.until import until

ROOM = "320623/room"
SEND = """async ([url, token, codec, mode]) => {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } })
  const peer = window.sender = new RTCPeerConnection()
  const one = peer.addTransceiver(stream.getTracks()[0], {
    direction: 'sendonly', streams: [stream], sendEncodings: [{ scalabilityMode: mode }] })
  const known = RTCRtpSender.getCapabilities('video').codecs.filter(({ mimeType }) => mimeType === `video/${codec}`)
  one.setCodecPreferences(known.slice(0, 1))
  await peer.setLocalDescription(await peer.createOffer())
  const answer = await fetch(url, { method: 'POST', body: peer.localDescription.sdp,
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` } })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
}"""
MODE = """async () => [...(await sender.getStats()).values()]
  .find((one) => one.type === 'outbound-rtp')?.scalabilityMode"""
SEE = """async ([url, token]) => {
  const peer = window.into = new RTCPeerConnection()
  peer.addTransceiver('video', { direction: 'recvonly' })
  await peer.setLocalDescription(await peer.createOffer())
  const answer = await fetch(url, { method: 'POST', body: peer.localDescription.sdp,
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` } })
  peer.ontrack = ({ track }) => { document.body.append(Object.assign(document.createElement('video'),
    { srcObject: new MediaStream([track]), autoplay: true, muted: true })) }
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
}"""
DECODED = """async () => [...(await into.getStats()).values()]
  .find((one) => one.type === 'inbound-rtp')?.framesDecoded >= 20"""


@pytest.fixture
async def engine(tmp_path: Path):
    """Yield an engine alone: what a picture is made of is no matter of the packet path."""
    async with EmbeddedMediaEngine(state_dir=tmp_path / "engine") as made:
        yield made


async def recorded(engine: EmbeddedMediaEngine, name: str, seconds: float) -> None:
    def grown() -> bool:
        return any(one.recording == name and one.seconds >= seconds for one in engine.recordings.figures())

    await until(grown, 60)


@pytest.mark.external
@pytest.mark.parametrize(("codec", "mode"), [("VP9", "L1T1"), ("VP9", "L2T3"), ("AV1", "L1T1"), ("AV1", "L1T3")])
async def test_what_a_browser_publishes_is_seen_kept_and_recorded(
    engine: EmbeddedMediaEngine, tmp_path: Path, codec: str, mode: str
) -> None:
    async with EngineFront(engine) as front, async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        pages = [await browser.new_page() for _ in range(2)]
        for page in pages:
            await page.goto(f"http://127.0.0.1:{front.port}/")
        await pages[0].evaluate(SEND, [front.whip(ROOM), TOKEN, codec, mode])
        await pages[1].evaluate(SEE, [front.whep(ROOM), TOKEN])
        await until_page_answers(pages[1], DECODED, 60)
        assert (await pages[0].evaluate(MODE) or "L1T1") == mode, "the browser really sends layers"

        still = await engine.still(ROOM, timeout_s=20)
        picture = next(av.open(io.BytesIO(still.jpeg)).decode(video=0))
        assert picture.width / picture.height == pytest.approx(4 / 3, rel=0.01)
        assert still.deviation > 6, "a picture, not one colour"

        name = await engine.record(ROOM, tmp_path / "one")
        await recorded(engine, name, 2.0)
        ended = await engine.stop_recording(name)
        assert (ended.reason, len(ended.files)) == ("closed", 1)
        with av.open(str(tmp_path / ended.files[0])) as file:
            frames = list(file.decode(video=0))
        assert len(frames) >= 5, "a busy machine codes few pictures, but more than a key frame"
        assert all(frame.width / frame.height == pytest.approx(4 / 3, rel=0.01) for frame in frames)
        await asyncio.wait_for(browser.close(), 30)
