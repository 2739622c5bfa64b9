"""H.265 and AV1 are passed on where both ends have them, over tiers too; where one has not, it is told so.

H.265 by aiortc, taught RFC 7798, with real ICE, DTLS and SRTP, coded by x265 and decoded on the far side.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiortc import RTCRtpSender
from playwright.async_api import async_playwright

from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.bench.chromium import CHROMIUM, FLAGS
from gateway.ports.media import EndReason, MediaEngine, SessionEnded, SessionKind
from protocols.errors import BadMediaError, CodecError
from tests.support import h265
from tests.support.asked import until_page_answers
from tests.support.engine_front import TOKEN, EngineFront
from tests.support.peers import publisher, until, viewer
from tests.support.posts import whep, whip

ROOM = "320623/room"
once = pytest.mark.parametrize("engine", ["compiled"], indirect=True)  # no matter of the packet path


@pytest.fixture
def hevc() -> Iterator[None]:
    with h265.taught():
        yield


@pytest.mark.parametrize("engine", ["compiled", "batched", "reference"], indirect=True)
@pytest.mark.usefixtures("hevc")
async def test_h265_is_decoded_on_the_far_side(engine: MediaEngine) -> None:
    async with publisher(whip(engine, ROOM), codec="H265"):
        for _ in range(2):  # the second one begins at the kept group
            async with viewer(whep(engine, ROOM)) as seen:
                await seen.sees("320623", 20)
                await until(lambda s=seen: s.age_ms() < 1500)
        (stream,) = (await engine.stats()).streams
        assert stream.codec == "h265"
        assert stream.key_frames >= 1


@once
@pytest.mark.usefixtures("hevc")
async def test_h265_crosses_a_tier(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "city") as city,
        EngineFront(city) as front,
        publisher(whip(engine, ROOM), codec="H265"),
    ):
        await engine.relay(ROOM, front.whip(ROOM), TOKEN)
        async with viewer(whep(city, ROOM)) as seen:
            await seen.sees("320623", 20)


@once
@pytest.mark.usefixtures("hevc")
async def test_a_viewer_that_has_not_the_codec_is_told_so(engine: EmbeddedMediaEngine) -> None:
    ended = []
    async with EngineFront(engine) as front, viewer(whep(engine, ROOM), codec="VP8") as early:
        watching = engine.events()
        async with publisher(whip(engine, ROOM), codec="H265"), viewer(whep(engine, ROOM), codec="H265") as seen:
            await seen.sees("320623", 3)
            # Who came before the source is not left before a dark screen either.
            async for event in watching:
                if isinstance(event, SessionEnded) and event.kind is SessionKind.WHEP:
                    ended.append(event.reason)
                    break
            with pytest.raises(CodecError, match="comes as h265, agreed is vp8"):
                async with viewer(whep(engine, ROOM), codec="VP8"):
                    pass
            headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/sdp"}
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.post(front.whep(ROOM), content=await _offer("VP8"), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (422, "codec")
        assert ended == [EndReason.REFUSED]
        assert early.frames == 0
        await until(lambda: not engine._coded)
        # What was true of the former source is not held against the next one.
        async with publisher(whip(engine, ROOM), codec="VP8"), viewer(whep(engine, ROOM), codec="VP8") as next_:
            await next_.sees("320623", 3)


@once
@pytest.mark.usefixtures("hevc")
async def test_a_publisher_of_a_profile_that_nobody_agreed_on_is_told_what_to_offer(engine: MediaEngine) -> None:
    offer = (await _offer("H265", "sendonly")).replace("profile-id=1", "profile-id=2")
    with pytest.raises(BadMediaError, match=r"H\.265 main"):
        await engine.publish(ROOM, offer)


@once
@pytest.mark.usefixtures("hevc")
async def test_a_tier_that_cannot_take_the_codec_is_a_named_failure(
    engine: EmbeddedMediaEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "city") as city,
        EngineFront(city) as front,
        publisher(whip(engine, ROOM), codec="H265"),
        viewer(whep(engine, ROOM)) as seen,
    ):
        await seen.sees("320623", 3)
        publish = city.publish

        async def older(stream: str, offer: str, **more: str | None) -> object:
            return await publish(stream, offer.replace("H265/90000", "H266/90000"), **more)

        monkeypatch.setattr(city, "publish", older)
        with pytest.raises(CodecError, match="comes as h265"):
            await engine.relay(ROOM, front.whip(ROOM), TOKEN)


async def _offer(codec: str, direction: str = "recvonly") -> str:
    from aiortc import RTCPeerConnection

    connection = RTCPeerConnection()
    picture = connection.addTransceiver("video", direction=direction)
    known = RTCRtpSender.getCapabilities("video").codecs
    picture.setCodecPreferences([one for one in known if one.mimeType == f"video/{codec}"])
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await connection.close()
    return sdp


SEND = """async ([url, token]) => {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } })
  const peer = window.sender = new RTCPeerConnection()
  const one = peer.addTransceiver(stream.getTracks()[0], { direction: 'sendonly', streams: [stream] })
  const known = RTCRtpSender.getCapabilities('video').codecs
  one.setCodecPreferences(known.filter(({ mimeType }) => mimeType === 'video/AV1'))
  await peer.setLocalDescription(await peer.createOffer())
  const answer = await fetch(url, { method: 'POST', body: peer.localDescription.sdp,
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` } })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
}"""
SEE = """async ([url, token, codec]) => {
  const peer = new RTCPeerConnection()
  const one = peer.addTransceiver('video', { direction: 'recvonly' })
  const known = RTCRtpReceiver.getCapabilities('video').codecs
  if (codec) one.setCodecPreferences(known.filter(({ mimeType }) => mimeType === codec))
  await peer.setLocalDescription(await peer.createOffer())
  const answer = await fetch(url, { method: 'POST', body: peer.localDescription.sdp,
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` } })
  if (answer.status !== 201) return (await answer.json()).code
  window.into = peer
  peer.ontrack = ({ track }) => { document.body.append(Object.assign(document.createElement('video'),
    { srcObject: new MediaStream([track]), autoplay: true, muted: true })) }
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  return 'taken'
}"""
SEEN = """async () => { const all = [...(await into.getStats()).values()]
  const video = all.find((one) => one.type === 'inbound-rtp' && one.kind === 'video')
  return video && { frames: video.framesDecoded, codec: all.find((one) => one.id === video.codecId)?.mimeType } }"""


@once
@pytest.mark.external
async def test_av1_from_chromium_to_chromium_over_a_tier(engine: EmbeddedMediaEngine, tmp_path: Path) -> None:
    async with (
        EmbeddedMediaEngine(state_dir=tmp_path / "city") as city,
        EngineFront(engine) as front,
        EngineFront(city) as above,
        async_playwright() as play,
    ):
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        sending = await browser.new_page()
        await sending.goto(f"http://127.0.0.1:{front.port}/")
        await sending.evaluate(SEND, [front.whip(ROOM), TOKEN])
        await engine.relay(ROOM, above.whip(ROOM), TOKEN)
        for one in (front, above):
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{one.port}/")
            assert await page.evaluate(SEE, [one.whep(ROOM), TOKEN, None]) == "taken"
            seen = await until_page_answers(
                page, f"async () => {{ const it = await ({SEEN})(); return it?.frames >= 20 && it }}", 30
            )
            assert seen["codec"] == "video/AV1"
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{front.port}/")
        assert await page.evaluate(SEE, [front.whep(ROOM), TOKEN, "video/VP8"]) == "codec"
        assert [stream.codec for stream in (await city.stats()).streams] == ["av1"]
        await browser.close()
