"""What Janus is told of an offer, and what its answer comes to."""

import pytest

from gateway.adapters.media_janus import offers
from gateway.adapters.media_janus.connection import too_old
from protocols.errors import BadMediaError

PRINT = ":".join(["AB"] * 32)
HEAD = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
TRANSPORT = [
    "c=IN IP4 0.0.0.0", "a=rtcp-mux", "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 24, "a=setup:actpass",
    f"a=fingerprint:sha-256 {PRINT}", f"a=fingerprint:sha-384 {PRINT}:{':'.join(['CD'] * 16)}",
    "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host",
    "a=candidate:2 1 udp 2130706175 198.18.0.9 5001 typ host",
]  # fmt: skip
VIDEO = [
    "m=video 9 UDP/TLS/RTP/SAVPF 102 97 98 99", *TRANSPORT, "a=mid:0", "a=sendonly",
    "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f", "a=rtcp-fb:102 nack pli",
    "a=rtpmap:97 VP8/90000", "a=rtcp-fb:97 nack pli",
    "a=rtpmap:98 rtx/90000", "a=fmtp:98 apt=102", "a=rtpmap:99 rtx/90000", "a=fmtp:99 apt=97",
]  # fmt: skip
AUDIO = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", *TRANSPORT, "a=mid:1", "a=sendonly", "a=rtpmap:111 opus/48000/2"]
OFFER = "\r\n".join([*HEAD, *VIDEO, *AUDIO]) + "\r\n"


def test_janus_gets_one_fingerprint_and_no_loopback():
    told = offers.told(OFFER, offers.tracks_of(OFFER))
    assert "sha-384" not in told
    assert told.count("a=fingerprint:sha-256") == 2
    assert " 127.0.0.1 5000 " not in told
    assert told.count(" 198.18.0.9 5001 ") == 2


def test_the_codec_that_the_publisher_likes_best_is_the_only_one():
    lines = offers.told(OFFER, offers.tracks_of(OFFER)).splitlines()
    assert "m=video 9 UDP/TLS/RTP/SAVPF 102 98" in lines
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111" in lines
    assert not [line for line in lines if "VP8" in line or ":97 " in line or ":99 " in line]


def test_what_is_not_taken_is_inactive():
    tracks = [track for track in offers.tracks_of(OFFER) if track.kind == "video"]
    audio = offers.told(OFFER, tracks).partition("m=audio")[2].splitlines()
    assert "a=inactive" in audio
    assert "a=sendonly" not in audio


@pytest.mark.parametrize("offer", ["", "v=0", "rubbish", OFFER.replace("rtcp-mux", "x")])
def test_a_bad_offer_is_refused(offer):
    with pytest.raises(BadMediaError):
        offers.tracks_of(offer)


def test_tracks_come_by_plain_rtp_under_our_numbers():
    answer = OFFER.replace("a=sendonly", "a=recvonly").replace("102 97 98 99", "102").replace("actpass", "active")
    tracks = offers.agreed(answer, offers.tracks_of(OFFER), iter([7, 9]))
    assert [(t.name, t.announced, sorted(t.codecs)) for t in tracks] == [("main", (7,), [96]), ("audio", (9,), [97])]
    assert tracks[0].codecs[96].name == "h264/42e0"
    assert all(not track.repairs and not track.mid_extension for track in tracks)


def test_an_answer_that_takes_nothing_is_refused():
    answer = OFFER.replace("a=sendonly", "a=inactive")
    with pytest.raises(BadMediaError):
        offers.agreed(answer, offers.tracks_of(OFFER), iter([7, 9]))


def test_candidates_are_passed_on_but_for_loopback():
    fragment = "a=ice-ufrag:abcd\r\na=mid:0\r\n" + "\r\n".join([*TRANSPORT[-2:], "a=end-of-candidates"]) + "\r\n"
    first, last = offers.candidates(fragment)
    assert first["sdpMid"] == "0"
    assert str(first["candidate"]).startswith("candidate:2 1 udp")
    assert last == {"completed": True}
    assert offers.user_of(fragment) == "abcd"
    assert offers.user_of("a=mid:0") == ""


@pytest.mark.parametrize(("version", "old"), [("1.1.2", True), ("1.4.1", False), ("1.4.2", False), ("2.0.0", False)])
def test_versions_before_the_known_repairs_are_old(version, old):
    assert too_old(version) is old
