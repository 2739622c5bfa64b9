"""Every private or patched name of aiortc and aioice that the agent uses, as the pinned version has it."""

import asyncio
import inspect

import aioice.ice
import aiortc
from aiortc import RTCRtpReceiver, RTCRtpSender, rtcdtlstransport
from aiortc.codecs import HEADER_EXTENSIONS
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtpPacket, pack_remb_fci, unpack_remb_fci

from edge_agent.media import aiortc_private
from protocols.aio.tasks import Supervisor
from tests.support.until import until


class RTCDtlsTransportLike:
    state = "new"


def test_the_version_is_the_pinned_one():
    assert aiortc.__version__.startswith("1.16.")


def test_a_key_frame_request_still_ends_in_the_hooked_method():
    assert list(inspect.signature(RTCRtpSender._send_keyframe).parameters) == ["self"]
    handler = inspect.getsource(RTCRtpSender._handle_rtcp_packet)
    assert "self._send_keyframe()" in handler
    assert inspect.iscoroutinefunction(RTCRtpSender._handle_rtcp_packet)


async def test_reports_and_estimates_are_read_as_their_classes_have_them():
    assert RtcpRrPacket(ssrc=1).reports == []
    assert "fraction_lost" in inspect.signature(RtcpReceiverInfo).parameters
    assert unpack_remb_fci(pack_remb_fci(500_000, [7])) == (500_000, [7])
    assert {"lsr", "dlsr"} <= set(inspect.signature(RtcpReceiverInfo).parameters)
    reports = inspect.getsource(RTCRtpSender._run_rtcp)
    assert "self.__lsr = " in reports
    assert "self.__lsr_time = time.time()" in reports
    router = inspect.getsource(rtcdtlstransport.RtpRouter.route_rtcp)
    assert "unpack_remb_fci" in router  # REMB reaches every sender that it names
    assert isinstance(RTCRtpSender("video", RTCDtlsTransportLike())._ssrc, int)


async def test_what_is_missing_is_asked_for_until_it_comes(monkeypatch):
    source = inspect.getsource(RTCRtpReceiver._handle_rtp_packet)
    assert "await self._send_rtcp_nack(" in source
    receiver = RTCRtpReceiver("video", RTCDtlsTransportLike())
    sent = []

    async def nack(ssrc, lost):
        sent.append((ssrc, lost))

    receiver._send_rtcp_nack = nack
    receiver._RTCRtpReceiver__nack_generator = NackGenerator()
    monkeypatch.setattr(aiortc_private, "ASK_AGAIN_S", 0.001)
    async with Supervisor("t") as tasks:
        tasks.start("again", lambda: aiortc_private.ask_again(receiver), restart=False)
        await until(lambda: receiver._send_rtcp_nack is not nack)
        for number in (1, 3):
            receiver._RTCRtpReceiver__nack_generator.add(RtpPacket(sequence_number=number))
        await receiver._send_rtcp_nack(7, [2])
        await until(lambda: sent.count((7, [2])) >= 4)
        receiver._RTCRtpReceiver__nack_generator.add(RtpPacket(sequence_number=2))
        before = len(sent)
        await asyncio.sleep(0.02)
        assert len(sent) <= before + 1


def test_a_packets_loudness_is_taken_from_its_frame_and_offered():
    assert "enc_frame.audio_level" in inspect.getsource(RTCRtpSender._run_rtp)
    assert "self._next_encoded_frame(" in inspect.getsource(RTCRtpSender._run_rtp)
    assert RTCEncodedFrame([], 0, None).audio_level is None
    uris = [extension.uri for extension in HEADER_EXTENSIONS["audio"]]
    assert "urn:ietf:params:rtp-hdrext:ssrc-audio-level" in uris


def test_a_rejected_m_line_still_needs_our_rewriting():
    """Once aiortc takes one, `without_rejections` can go."""
    source = inspect.getsource(aiortc.RTCPeerConnection.setRemoteDescription)
    assert "port == 0" not in source


def test_coded_packets_are_still_packed_and_never_forced_to_key_frames():
    source = inspect.getsource(RTCRtpSender._next_encoded_frame)
    assert "self.__encoder.pack(data)" in source
    assert "av.Packet" in str(inspect.signature(H264Encoder.pack)) or "Packet" in str(
        inspect.signature(H264Encoder.pack)
    )


def test_candidates_still_come_from_the_replaced_function(monkeypatch):
    aiortc_private.install()
    assert aioice.ice.get_host_addresses is aiortc_private._addresses
    assert aioice.ice.CONSENT_INTERVAL == aiortc_private.CONSENT_INTERVAL_S
    assert "get_host_addresses(" in inspect.getsource(aioice.ice.Connection)
    assert "CONSENT_INTERVAL" in inspect.getsource(aioice.ice.Connection.query_consent)
    with aiortc_private.addresses_for("http://127.0.0.1:8080/whip/320623/room"):
        assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]
    with aiortc_private.addresses_for("https://10.32.6.1/whip/320623/room"):
        assert "127.0.0.1" not in aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
