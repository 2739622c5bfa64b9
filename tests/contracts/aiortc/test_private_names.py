"""Every private or patched name of aiortc and aioice that the agent uses, as the pinned version has it."""

import asyncio
import inspect
from fractions import Fraction

import aioice.ice
import aiortc
import av
from aiortc import RTCRtpReceiver, RTCRtpSender, rtcdtlstransport, rtcrtpsender, rtp
from aiortc.codecs import HEADER_EXTENSIONS
from aiortc.codecs.h264 import H264Encoder
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
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


class Written:
    """Where the datagrams of one sender go, as aioice and the DTLS transport have it; nothing is enciphered."""

    remote_addr = ("127.0.0.1", 9)
    state = "connected"

    def __init__(self):
        self._state = rtcdtlstransport.State.CONNECTED
        self.datagrams = []
        self.protocol = self.transport = self._connection = self._tx_srtp = self
        self._nominated = {1: self}
        self._RTCDtlsTransport__tx_bytes = self._RTCDtlsTransport__tx_packets = 0

    def protect(self, data):
        return data

    def sendto(self, data, to):
        assert to == self.remote_addr
        self.datagrams.append(data)

    def _register_rtp_sender(self, sender, parameters):
        pass

    def _unregister_rtp_sender(self, sender):
        pass

    async def _send_rtp(self, data):
        if not rtp.is_rtcp(data):
            self.datagrams.append(data)


class Frames(aiortc.MediaStreamTrack):
    """Gives so many pictures and no more."""

    kind = "video"

    def __init__(self, pictures):
        super().__init__()
        self.left = list(pictures)

    async def recv(self):
        if not self.left:
            raise MediaStreamError
        packet = av.Packet(self.left.pop(0))
        packet.pts, packet.time_base = 9000 * (10 - len(self.left)), Fraction(1, 90_000)
        return packet


async def sent_by(pictures, *, by_frame):
    way = Written()
    sender = RTCRtpSender(Frames(pictures), way)
    if by_frame:
        aiortc_private.send_by_frame(sender)
    codec = RTCRtpCodecParameters("video/H264", 90_000, payloadType=99)
    extensions = [RTCRtpHeaderExtensionParameters(id=place, uri=uri) for place, uri in enumerate(EXTENSIONS, 1)]
    await sender.send(RTCRtpSendParameters(codecs=[codec], headerExtensions=extensions, muxId="0"))
    await sender._RTCRtpSender__rtp_exited.wait()
    return sender, way


EXTENSIONS = ("urn:ietf:params:rtp-hdrext:sdes:mid", "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time")
PICTURES = [b"\0\0\0\1\x65" + bytes([1]) * 4000, b"\0\0\0\1\x41" + bytes([2]) * 90]


def told(datagrams):
    """Return what the datagrams say, without what is drawn by lot or taken from the clock."""
    packets = [RtpPacket.parse(data) for data in datagrams]
    first = packets[0]
    return [
        (
            packet.payload_type,
            packet.marker,
            (packet.sequence_number - first.sequence_number) & 0xFFFF,
            (packet.timestamp - first.timestamp) & 0xFFFFFFFF,
            packet.payload,
            len(data),
        )
        for packet, data in zip(packets, datagrams, strict=True)
    ]


async def test_frame_by_frame_the_same_goes_over_the_line_as_aiortc_would_send():
    theirs, way = await sent_by(PICTURES, by_frame=False)
    ours, our_way = await sent_by(PICTURES, by_frame=True)
    assert told(our_way.datagrams) == told(way.datagrams)
    assert len(told(our_way.datagrams)) == 5
    for name in ("packet_count", "octet_count"):
        assert getattr(ours, f"_RTCRtpSender__{name}") == getattr(theirs, f"_RTCRtpSender__{name}")
    assert way._RTCDtlsTransport__tx_packets == 0  # counted by the method that this `Written` replaces
    assert our_way._RTCDtlsTransport__tx_packets == len(our_way.datagrams)
    assert our_way._RTCDtlsTransport__tx_bytes == sum(map(len, our_way.datagrams))
    assert all(int.from_bytes(data[2:4], "big") < 0x8000 for data in our_way.datagrams)


async def test_what_was_sent_frame_by_frame_is_sent_again_as_it_was():
    sender, way = await sent_by(PICTURES, by_frame=True)
    once = list(way.datagrams)
    for data in once:
        await sender._retransmit(RtpPacket.parse(data).sequence_number)
    assert way.datagrams == once + once
    await sender._retransmit((RtpPacket.parse(once[-1]).sequence_number + 1) & 0xFFFF)
    assert len(way.datagrams) == 2 * len(once)


def test_the_names_that_sending_by_frame_replaces_are_there():
    source = inspect.getsource(RTCRtpSender)
    assert "asyncio.ensure_future(self._run_rtp(" in source
    assert "self.__rtp_history.get(sequence_number % RTP_HISTORY_SIZE)" in source
    assert rtcrtpsender.RTP_HISTORY_SIZE == aiortc_private._KEPT
    assert "random16() % 32768" in inspect.getsource(rtcrtpsender.random_sequence_number)
    protect = inspect.getsource(rtcdtlstransport.RTCDtlsTransport._send_rtp)
    assert "self._tx_srtp.protect(data)" in protect
    assert "active_pair.protocol.send_data(data, active_pair.remote_addr)" in inspect.getsource(
        aioice.ice.Connection.sendto
    )
