"""What happens when the line is bad: another session before the first is closed, and bit rates that follow the line."""

import asyncio
import threading
from pathlib import Path

from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from edge_agent.cameras import make_camera
from edge_agent.media.session import SILENT_S, Source
from edge_agent.settings import CameraSettings
from tests.support.until import until

STREAM = "320623/room"


def mute(session):
    """Let a server's reports stop; returns how to bring them back."""
    receivers = session.peer.getReceivers()
    spoken = [receiver._send_rtcp for receiver in receivers]

    async def nothing(*_):
        return None

    def again():
        for receiver, speak in zip(receivers, spoken, strict=True):
            receiver._send_rtcp = speak

    for receiver in receivers:
        receiver._send_rtcp = nothing
    return again


async def estimate(session, bits):
    """Let a server say what the line carries, once and for all."""
    receiver = next(one for one in session.peer.getReceivers() if one.track.kind == "video")
    receiver._RTCRtpReceiver__remote_bitrate_estimator = None
    (ssrc,) = receiver._RTCRtpReceiver__active_ssrc
    remb = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(bits, [ssrc]))
    await receiver.transport._send_rtp(bytes(remb))


async def flowing(session):
    seen = len(session.frame_at)
    await until(lambda: len(session.frame_at) > seen + 5)


async def test_a_machine_that_moved_keeps_its_session_until_the_next_one_is_connected(server, publisher):
    publisher.publish(server.order(STREAM))
    await until(lambda: server.sessions and server.sessions[0].frames)
    first = server.sessions[0]
    server.refuse = (503, "worker_lost")
    publisher.network_moved()
    await until(lambda: publisher.counters["ended_failed"] >= 2)
    await flowing(first)
    assert publisher.names() == ("room",)
    assert not first.deleted
    server.refuse = None
    await until(lambda: len(server.sessions) == 2 and server.sessions[1].frames)
    await until(lambda: first.deleted)
    assert publisher.counters["ended_moved"] == 1


async def test_a_silent_session_that_is_heard_again_stays(server, publisher):
    publisher.publish(server.order(STREAM))
    await until(lambda: server.sessions and server.sessions[0].frames)
    _, session = next(publisher.sessions())
    await until(lambda: session.heard)
    again, server.refuse = mute(server.sessions[0]), (503, "worker_lost")
    await until(lambda: publisher.counters["ended_failed"] >= 1, SILENT_S + 10)
    assert publisher.names() == ()
    again()
    await until(lambda: publisher.counters["heard_again"] == 1)
    server.refuse = None
    await flowing(server.sessions[0])
    assert publisher.names() == ("room",)
    assert publisher.counters["sessions"] == 1


async def test_an_estimate_of_the_server_steers_the_encoder(server, publisher, card):
    publisher.publish(server.order(STREAM))
    await until(lambda: server.sessions and len(server.sessions[0].frames) > 3)
    _, session = next(publisher.sessions())
    assert session.targets == {"main": 800}
    await estimate(server.sessions[0], 300_000)
    await until(lambda: session.targets.get("main", 800) < 300)
    assert not session.thin
    await publisher.unpublish(STREAM)


async def test_a_passed_through_stream_that_the_line_does_not_carry_is_named(server, publisher, card):
    publisher._sources[STREAM] = Source(card.video)  # as a passed-through camera: nothing can be steered
    publisher.publish(server.order(STREAM))
    await until(lambda: server.sessions and len(server.sessions[0].frames) > 3)
    _, session = next(publisher.sessions())
    await estimate(server.sessions[0], 20_000)
    await until(lambda: publisher.thin("room"))
    assert session.targets == {}
    await publisher.unpublish(STREAM)
    assert not publisher.thin("room")


async def test_loudness_is_on_every_packet_of_the_sound(server, publisher):
    publisher.publish(server.order(STREAM))
    await until(lambda: server.sessions and server.sessions[0].sounds)
    receiver = next(one for one in server.sessions[0].peer.getReceivers() if one.track.kind == "audio")
    levels, take = [], receiver._handle_rtp_packet

    async def watched(packet, *more, **named):
        levels.append(packet.extensions.audio_level)
        await take(packet, *more, **named)

    receiver._handle_rtp_packet = watched
    await until(lambda: len(levels) > 10)
    assert set(levels) == {(False, 18)}


async def test_twenty_sessions_in_a_row_leave_nothing_behind(server, publisher):
    def held():
        return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks()), threading.active_count()

    async def session(number):
        publisher.publish(server.order(STREAM, layers=("thumb",)))
        await until(lambda: len(server.sessions) > number and server.sessions[number].thumbs)
        await publisher.unpublish(STREAM)
        await until(lambda: server.sessions[number].deleted)

    for number in range(3):
        await session(number)
    before = held()
    for number in range(3, 23):
        await session(number)
    await until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)), what=f"{before}")


async def test_a_camera_without_a_small_layer_offers_one_picture(server, publisher, tmp_path):
    camera = make_camera(CameraSettings(name="room", kind="rtsp", url="rtsp://127.0.0.1:9/x"), "320623")
    assert camera.thumb is None
    publisher._sources[STREAM] = Source(camera.feed, None, camera.thumb, camera.bounds(), camera.steer)
    publisher.publish(server.order(STREAM, layers=("thumb",)))
    await until(lambda: server.sessions)
    assert server.sessions[0].offer.count("m=video") == 1
    assert camera.feed.wanted
    await publisher.unpublish(STREAM)
