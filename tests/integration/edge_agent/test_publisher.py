"""Publishing into a real WebRTC peer that decodes: content, key frames on request, leases, and coming back."""

import time

import pytest

from edge_agent.media.speaker import Meter
from protocols.aio.testcard import tone_hz
from protocols.errors import ExpiredError, NotFoundError
from protocols.testmark import decode
from tests.support.until import until
from tests.support.whip_stub import kill

STREAM = "320623/room"


def order(server, seconds=60.0, **more):
    return server.order(STREAM, seconds, **more)


def mark_of(frame):
    grey = frame.to_ndarray(format="gray")
    return decode(frame.width, frame.height, lambda x, y: float(grey[y, x]))


async def test_the_countys_mark_and_tone_arrive_and_nothing_before_or_after(server, publisher, card):
    assert not card.video.wanted
    publisher.publish(order(server))
    await until(lambda: server.sessions and len(server.sessions[0].frames) > 5)
    session = server.sessions[0]
    mark = mark_of(session.frames[-1])
    assert mark.code == "320623"
    assert mark.age_ms(int(time.time() * 1000)) < 5000
    assert session.token == "t1"
    assert "sha-384" not in session.offer
    assert "127.0.0.1" in session.offer
    await until(lambda: len(session.sounds) > 30)
    meter = Meter()
    for frame in session.sounds[-20:]:
        meter.hear(frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)])
    assert meter.peak_hz == pytest.approx(tone_hz("320623"), abs=6)
    assert publisher.names() == ("room",)
    await publisher.unpublish(STREAM)
    assert session.deleted
    assert not card.video.wanted
    assert publisher.names() == ()


async def test_layers_are_sent_while_they_are_named_in_one_session(server, publisher, card):
    publisher.publish(order(server, layers=("thumb",)))
    await until(lambda: server.sessions and len(server.sessions[0].thumbs) > 3)
    session = server.sessions[0]
    assert not session.frames
    assert not card.video.wanted
    assert session.thumbs[0].key_frame
    assert (session.thumbs[0].width, session.thumbs[0].height) == (320, 180)
    assert mark_of(session.thumbs[-1]).code == "320623"
    publisher.publish(order(server, layers=("main", "thumb")))
    await until(lambda: len(session.frames) > 3)
    assert session.frames[0].key_frame
    assert session.frames[0].width == 640
    publisher.publish(order(server, layers=()))
    assert not card.video.wanted
    assert not card.thumb.wanted
    heard = len(session.sounds)
    await until(lambda: len(session.sounds) > heard or len(session.sounds) == 400)
    publisher.publish(order(server))
    assert card.video.wanted
    assert not card.thumb.wanted
    seen = session.frame_at[-1]
    await until(lambda: session.frame_at[-1] > seen + 0.3)
    assert len(server.sessions) == 1
    await publisher.unpublish(STREAM)


async def test_a_server_that_takes_one_video_gets_the_main_picture_whatever_it_asks(server, publisher, card):
    server.one_video = True
    publisher.publish(order(server, layers=("thumb",)))
    await until(lambda: server.sessions and len(server.sessions[0].frames) > 3 and server.sessions[0].sounds)
    assert server.sessions[0].frames[0].width == 640
    assert not server.sessions[0].thumbs
    assert not card.thumb.wanted
    assert server.sessions[0].offer.count("m=video") == 2


async def test_a_key_frame_request_reaches_the_encoder(server, publisher, card):
    publisher.publish(order(server))
    await until(lambda: server.sessions and len(server.sessions[0].frames) > 8)
    session = server.sessions[0]
    asked = card.video.key_requests
    receiver = next(r for r in session.peer.getReceivers() if r.track.kind == "video")
    ssrc = next(iter(receiver._RTCRtpReceiver__active_ssrc))
    key_frames = sum(frame.key_frame for frame in session.frames)
    await receiver._send_rtcp_pli(ssrc)
    await until(lambda: card.video.key_requests > asked)
    await until(lambda: sum(frame.key_frame for frame in session.frames) > key_frames, 3.0)


async def test_renewing_keeps_the_session_and_fresh_makes_a_new_one(server, publisher):
    publisher.publish(order(server, 3.0))
    await until(lambda: server.sessions and server.sessions[0].frames)
    publisher.publish(order(server, 60.0))
    seen = len(server.sessions[0].frame_at)
    await until(lambda: server.sessions[0].frame_at[-1] - server.sessions[0].frame_at[0] > 4.0)
    assert len(server.sessions) == 1
    assert len(server.sessions[0].frame_at) > seen
    publisher.publish(order(server, 60.0, fresh=True))
    await until(lambda: len(server.sessions) == 2 and server.sessions[1].frames)
    assert server.sessions[0].deleted


async def test_the_lease_ends_the_session(server, publisher):
    publisher.publish(order(server, 2.0))
    await until(lambda: server.sessions and server.sessions[0].frames)
    await until(lambda: server.sessions[0].deleted and publisher.counters["ended_lease"] == 1)


async def test_a_peer_that_vanishes_is_noticed_and_published_to_again(server, publisher):
    publisher.publish(order(server))
    await until(lambda: server.sessions and len(server.sessions[0].frames) > 30)
    gone = time.monotonic()
    kill(server.sessions[0].peer)
    await until(lambda: len(server.sessions) == 2 and server.sessions[1].frames, 30)
    assert publisher.counters["ended_silent"] == 1
    assert time.monotonic() - gone < 25


async def test_a_refusal_is_tried_again_while_the_lease_lasts(server, publisher):
    server.refuse = (503, "worker_lost")
    publisher.publish(order(server))
    await until(lambda: publisher.counters["ended_failed"] >= 2)
    server.refuse = (403, "not_allowed")
    await until(lambda: publisher.counters["ended_refused"] >= 1)
    server.refuse = None
    await until(lambda: server.sessions and server.sessions[0].frames)


async def test_foreign_streams_and_past_leases_are_refused(server, publisher):
    with pytest.raises(NotFoundError, match="320623/room"):
        publisher.publish(order(server).model_copy(update={"stream": "320623/none"}))
    with pytest.raises(ExpiredError):
        publisher.publish(order(server, -1.0))
