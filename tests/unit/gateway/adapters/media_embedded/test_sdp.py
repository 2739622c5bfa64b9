"""Offers and answers, with real offers of aiortc and Chromium, and with rubbish."""

import re
from collections.abc import Iterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded import sdp
from gateway.adapters.media_embedded.rules.description import Local
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.transport_feedback import URI as TRANSPORT_URI
from gateway.ports.media import SessionKind
from protocols.errors import BadMediaError

LOCAL = Local(Credentials("ours", "p" * 22), ":".join(["AB"] * 32), (("127.0.0.1", 5000),))


def ssrcs() -> Iterator[int]:
    return iter(range(11, 1000, 11))


CHROMIUM = "\r\n".join(
    """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 107 108 109 114 39 40 45 46 98 99
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:Qn0l
a=ice-pwd:3rPtWcvqvd1vkXIpbF7P+E1V
a=ice-options:trickle
a=fingerprint:sha-256 PRINT
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:toffset
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=rtcp-fb:103 nack
a=rtcp-fb:103 nack pli
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
a=rtpmap:107 H264/90000
a=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f
a=rtpmap:108 rtx/90000
a=fmtp:108 apt=107
a=rtpmap:109 H264/90000
a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:114 rtx/90000
a=fmtp:114 apt=109
a=rtpmap:39 H264/90000
a=fmtp:39 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=f4001f
a=rtpmap:40 rtx/90000
a=fmtp:40 apt=39
a=rtpmap:45 AV1/90000
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:46 rtx/90000
a=fmtp:46 apt=45
a=rtpmap:98 VP9/90000
a=fmtp:98 profile-id=0
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:Qn0l
a=ice-pwd:3rPtWcvqvd1vkXIpbF7P+E1V
a=ice-options:trickle
a=fingerprint:sha-256 PRINT
a=setup:actpass
a=mid:1
a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
""".replace("PRINT", ":".join(["cd"] * 32)).split("\n")
)
PUBLISHING = CHROMIUM.replace("a=recvonly", "a=sendonly")


def play(offer: str) -> sdp.Agreement:
    return sdp.answer(offer, LOCAL, SessionKind.WHEP, ssrcs())


def test_loudness_is_agreed_both_ways_and_only_where_it_is_offered() -> None:
    line = "a=extmap:5 urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    mid = "a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid"
    offered = PUBLISHING.replace(mid, f"{mid}\r\n{line}")
    agreed = sdp.answer(offered, LOCAL, SessionKind.WHIP, ssrcs())
    assert [track.level_extension for track in agreed.tracks] == [0, 5], "a video line's is not used"
    assert agreed.sdp.split("\r\n").count(line) == 1
    assert play(offered.replace("a=sendonly", "a=recvonly")).sdp.split("\r\n").count(line) == 1
    assert "ssrc-audio-level" not in play(PUBLISHING.replace("a=sendonly", "a=recvonly")).sdp
    pulled, _ = sdp.offer(LOCAL, SessionKind.PULL, ssrcs())
    assert "ssrc-audio-level" in pulled
    assert "ssrc-audio-level" in sdp.offer(LOCAL, SessionKind.RELAY, ssrcs())[0], "the tier above knows who speaks"


def test_a_viewer_is_given_every_codec_that_can_be_forwarded() -> None:
    agreed = play(CHROMIUM)
    video, audio = agreed.tracks
    others = {"vp9": 98, "av1": 45}
    known = {"vp8": 96, "h264/4200": 103, "h264": 103, "h264/42e0": 109, "h264/f400": 39}
    assert video.payload_types() == known | others
    order = [int(number) for number in agreed.sdp.partition("m=video")[2].splitlines()[0].split()[2:]]
    assert max(map(order.index, known.values())) < min(map(order.index, others.values())), (
        "what all parts know is first"
    )
    assert audio.payload_types() == {"opus": 111}
    assert (video.mid, video.mid_extension, video.ssrc, video.repairs) == ("0", 9, 11, {})
    assert agreed.remote.credentials == Credentials("Qn0l", "3rPtWcvqvd1vkXIpbF7P+E1V")
    text = SessionDescription.parse(agreed.sdp)
    assert [media.rtcp_mux for media in text.media] == [True, True]
    assert [media.direction for media in text.media] == ["sendonly", "sendonly"]
    for line in (
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "a=setup:passive",
        "a=end-of-candidates",
        "a=ssrc:11 cname:silian",
    ):
        assert line in agreed.sdp.split("\r\n")
    assert "sha-384" not in agreed.sdp
    assert "transport-cc" not in agreed.sdp, "we do not send what we do not do"


def test_a_publisher_is_given_rtx_and_feedback() -> None:
    agreed = sdp.answer(PUBLISHING, LOCAL, SessionKind.WHIP, ssrcs())
    video = agreed.tracks[0]
    assert video.repairs == {97: 96, 104: 103, 114: 109, 40: 39, 46: 45, 99: 98}
    assert "a=rtcp-fb:96 goog-remb" in agreed.sdp
    assert "a=rtcp-fb:96 nack pli" in agreed.sdp
    assert "a=rtpmap:45 AV1/90000" in agreed.sdp
    assert "ulpfec" not in agreed.sdp
    assert "a=recvonly" in agreed.sdp


def test_transport_feedback_needs_both_its_lines() -> None:
    extension = f"a=extmap:5 {TRANSPORT_URI}"
    offered = PUBLISHING.replace("a=extmap:9", f"{extension}\r\na=extmap:9")
    agreed = sdp.answer(offered, LOCAL, SessionKind.WHIP, ssrcs())
    assert [track.transport_extension for track in agreed.tracks] == [5, 5]
    assert agreed.sdp.count(extension) == 2
    assert "a=rtcp-fb:96 transport-cc" in agreed.sdp
    without = sdp.answer(offered.replace(" transport-cc", " x"), LOCAL, SessionKind.WHIP, ssrcs())
    assert [track.transport_extension for track in without.tracks] == [0, 0]
    assert TRANSPORT_URI not in without.sdp
    assert "transport-cc" not in sdp.answer(PUBLISHING, LOCAL, SessionKind.WHIP, ssrcs()).sdp


def test_a_viewer_that_takes_rtx_is_told_whose_it_is() -> None:
    agreed = play(CHROMIUM)
    video, audio = agreed.tracks
    assert (video.sends_repairs, video.repairs) == ({96: 97, 103: 104, 109: 114, 39: 40, 45: 46, 98: 99}, {})
    assert (video.repair_ssrc, audio.repair_ssrc) == (video.ssrc + 1, 0)
    assert f"a=ssrc-group:FID {video.ssrc} {video.repair_ssrc}" in agreed.sdp.split("\r\n")
    assert "a=fmtp:97 apt=96" in agreed.sdp
    without = play(CHROMIUM.replace("rtx/90000", "xx/90000")).tracks[0]
    assert (without.sends_repairs, without.repair_ssrc) == ({}, 0)


def test_what_cannot_be_used_is_rejected_in_its_place() -> None:
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n"
    agreed = play(CHROMIUM + data)
    assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" in agreed.sdp
    assert "BUNDLE 0 1\r\n" in agreed.sdp
    only_sound = play(re.sub(r"(VP8|H264|VP9|AV1)/90000", "XX/90000", CHROMIUM))
    assert [track.kind for track in only_sound.tracks] == ["audio"]
    assert "m=video 0 " in only_sound.sdp


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        ("a=ice-pwd:3rPtWcvqvd1vkXIpbF7P+E1V", "a=ice-pwd:short"),
        ("a=ice-ufrag:Qn0l", "a=x:y"),
        ("a=rtcp-mux", "a=x"),
        ("a=setup:actpass", "a=setup:passive"),
        ("a=setup:actpass", "a=setup:sideways"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
        ("a=recvonly", "a=inactive"),
        ("a=recvonly", "a=sendonly"),
        ("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8"),
        ("opus/48000/2", "opus/x"),
        ("UDP/TLS/RTP/SAVPF 111", "UDP/TLS/RTP/SAVPF 72"),
        ("UDP/TLS/RTP/SAVPF 111", "UDP/TLS/RTP/SAVPF 96 111"),
        ("a=mid:1", "a=mid:" + "x" * 40),
        ("a=fmtp:97 apt=96", "a=fmtp:97 apt=x"),
        ("v=0", "v=x"),
    ],
)
def test_bad_offers_are_refused(change: str, to: str) -> None:
    offer = CHROMIUM.replace(change, to)
    if to == "UDP/TLS/RTP/SAVPF 96 111":
        offer = offer.replace("a=rtpmap:111", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:111")
    with pytest.raises(BadMediaError):
        play(offer)


def test_too_long_and_too_many() -> None:
    with pytest.raises(BadMediaError):
        play(CHROMIUM + "a=x\r\n" * 80000)
    with pytest.raises(BadMediaError):
        play("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 41)


@settings(max_examples=150)
@given(st.data())
def test_any_damage_is_answered_or_refused(data: st.DataObject) -> None:
    lines = CHROMIUM.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "cut", "double", "text"])):
            case "drop":
                del lines[at]
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
            case "double":
                lines.insert(at, lines[at])
            case _:
                lines[at] = data.draw(st.text(max_size=30))
    for kind in (SessionKind.WHIP, SessionKind.WHEP, SessionKind.WALL):
        try:
            sdp.answer("\r\n".join(lines), LOCAL, kind, ssrcs())
        except BadMediaError:
            continue


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadMediaError):
        play(text)
    with pytest.raises(BadMediaError):
        sdp.accept(text, SessionKind.RELAY, {})


@pytest.mark.parametrize("kind", [SessionKind.RELAY, SessionKind.PULL])
def test_two_of_our_ends_agree(kind: SessionKind) -> None:
    relay = kind is SessionKind.RELAY
    offer, ours = sdp.offer(LOCAL, kind, ssrcs())
    answer = sdp.answer(offer, LOCAL, SessionKind.WHIP if relay else SessionKind.WHEP, ssrcs())
    agreed = sdp.accept(answer.sdp, kind, ours)
    assert [(t.kind, t.mid, t.codecs) for t in agreed.tracks] == [(t.kind, t.mid, t.codecs) for t in answer.tracks]
    assert [(t.name, t.ssrc) for t in agreed.tracks] == (
        [("main", 11), ("thumb", 22), ("audio", 33)] if relay else [("main", 0), ("audio", 0)]
    )
    assert [t.name for t in answer.tracks] == (["main", "thumb", "audio"] if relay else ["video/0", "audio/0"])
    assert (agreed.remote.setup, agreed.remote.candidates) == ("passive", (("127.0.0.1", 5000),))
    assert answer.remote.setup == "actpass"
    sender, taker = (agreed.tracks[0], answer.tracks[0]) if relay else (answer.tracks[0], agreed.tracks[0])
    assert {own: media for media, own in sender.sends_repairs.items()} == taker.repairs != {}
    assert (taker.announced, taker.announced_repairs) == ((sender.ssrc,), (sender.repair_ssrc,))
    assert sender.transport_extension == taker.transport_extension > 0


def test_an_answer_that_does_not_follow_the_offer_is_refused() -> None:
    offer, ours = sdp.offer(LOCAL, SessionKind.RELAY, ssrcs())
    answer = sdp.answer(offer, LOCAL, SessionKind.WHIP, ssrcs()).sdp
    with pytest.raises(BadMediaError):
        sdp.accept(answer.replace("m=video", "m=audio"), SessionKind.RELAY, ours)
    with pytest.raises(BadMediaError):
        sdp.accept(answer.replace("m=video 9", "m=video 0").replace("m=audio 9", "m=audio 0"), SessionKind.RELAY, ours)
    names = answer.replace("127.0.0.1 5000 typ", "somewhere.local 5000 typ")
    assert sdp.accept(names, SessionKind.RELAY, ours).remote.candidates == (), "names are never looked up"


def test_another_gateway_that_takes_one_picture_is_sent_the_main_one() -> None:
    offer, ours = sdp.offer(LOCAL, SessionKind.RELAY, ssrcs())
    parsed = SessionDescription.parse(sdp.answer(offer, LOCAL, SessionKind.WHIP, ssrcs()).sdp)
    parsed.media[1].port = 0
    agreed = sdp.accept(str(parsed), SessionKind.RELAY, ours)
    assert [(track.name, track.ssrc) for track in agreed.tracks] == [("main", 11), ("audio", 33)]


def repeated(offer: str, pictures: int) -> str:
    """Return Chromium's offer with its picture's m-line so many times, and its sound."""
    head, video, audio = re.split("(?=m=)", offer)
    lines = [video.replace("a=mid:0", f"a=mid:v{place}") for place in range(pictures)]
    bundle = " ".join([*(f"v{place}" for place in range(pictures)), "1"])
    return head.replace("BUNDLE 0 1", f"BUNDLE {bundle}") + "".join(lines) + audio


def test_a_wall_has_a_slot_for_every_m_line_up_to_its_limit() -> None:
    agreed = sdp.answer(repeated(CHROMIUM, 27), LOCAL, SessionKind.WALL, ssrcs())
    assert [track.name for track in agreed.tracks] == [*(f"video/{place}" for place in range(25)), "audio/0"]
    assert len({track.ssrc for track in agreed.tracks}) == 26
    text = SessionDescription.parse(agreed.sdp)
    assert [media.port for media in text.media] == [9] * 25 + [0, 0, 9]
    assert len({media.msid for media in text.media if media.port}) == 26, "no two slots are kept in step"


def test_a_publisher_may_bring_two_layers_and_a_viewer_takes_one_picture() -> None:
    agreed = sdp.answer(repeated(PUBLISHING, 3), LOCAL, SessionKind.WHIP, ssrcs())
    assert [(track.name, track.mid) for track in agreed.tracks] == [("main", "v0"), ("thumb", "v1"), ("audio", "1")]
    assert [track.name for track in play(repeated(CHROMIUM, 2)).tracks] == ["video/0", "audio/0"]


def test_a_payload_type_means_the_same_in_every_m_line() -> None:
    two = repeated(CHROMIUM, 2)
    again = two.rindex("a=rtpmap:96 VP8/90000")
    other = two[:again] + two[again:].replace("VP8", "XX", 1).replace("a=fmtp:97 apt=96", "a=fmtp:97 apt=103", 1)
    assert len(sdp.answer(other, LOCAL, SessionKind.WALL, ssrcs()).tracks) == 3, "what is not forwarded may differ"
    other = two[:again] + two[again:].replace(
        "VP8/90000", "H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=42001f", 1
    )
    with pytest.raises(BadMediaError):
        sdp.answer(other, LOCAL, SessionKind.WALL, ssrcs())
    with pytest.raises(BadMediaError):
        sdp.answer(two.replace("a=mid:v1", "a=mid:v0"), LOCAL, SessionKind.WALL, ssrcs())


async def test_aiortc_takes_our_answer() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("video", direction="recvonly")
        connection.addTransceiver("audio", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        answer = play(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(sdp=answer.sdp, type="answer"))
        assert {t.currentDirection for t in connection.getTransceivers()} == {"recvonly"}
    finally:
        await connection.close()


async def test_the_sources_that_a_publisher_announces_are_known() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    parsed = SessionDescription.parse(connection.localDescription.sdp)
    await connection.close()
    (section,) = parsed.media
    named = [source.ssrc for source in section.ssrc]
    pairs = [tuple(group.items) for group in section.ssrc_group if group.semantic == "FID"]
    (track,) = sdp.answer(str(parsed), LOCAL, SessionKind.WHIP, ssrcs()).tracks
    assert named
    assert sorted(track.announced + track.announced_repairs) == sorted(named)
    assert track.announced_repairs == tuple(pair[1] for pair in pairs)
    section.ssrc, section.ssrc_group = [], []
    (track,) = sdp.answer(str(parsed), LOCAL, SessionKind.WHIP, ssrcs()).tracks
    assert (track.announced, track.announced_repairs) == ((), ())
