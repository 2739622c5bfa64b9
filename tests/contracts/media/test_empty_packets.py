"""A number without content reaches viewers as part of the frame before it: a frame of nothing would end some decoders.

Read by aiortc's own jitter buffer, as its viewers do it.
"""

from aiortc import rtp as other
from aiortc.codecs import depayload
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.gop import Gop
from gateway.adapters.media_embedded.rules.ingest import Codec, Ingest, Media
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.run import Run

VP8 = RTCRtpCodecParameters("video/VP8", 90000, None, 96)
KEY, DELTA = b"\x10\x00key", b"\x10\x01delta"


def test_fillers_and_probes_make_no_frame_of_nothing() -> None:
    track = Ingest("video", {96: Codec("vp8", 90000)}, {})
    leg, gop = Leg(Plan("video", 7, {"vp8": 96}, {}, 100, 0), "viewer"), Gop()
    buffer, frames, now = JitterBuffer(128, is_video=True), [], 0.0

    def pass_on(media: Media | None) -> None:
        if media is None:
            return
        gop.add(media)
        for _, head, payload in leg.take(Run([media]), gop, 1, now):
            packet = other.RtpPacket.parse(head + payload)
            packet._data = depayload(VP8, packet.payload) if packet.payload else b""
            _, frame = buffer.add(packet)
            if frame is not None:
                frames.append(frame.data)

    for number in range(200):
        now += 0.04
        track.missing(now)
        for filler in track.given_up():
            pass_on(filler)
        if number % 11 == 3 and number < 150:
            continue  # lost for good, the whole frame
        payload = b"" if number % 5 == 4 else KEY if number == 0 else DELTA
        pass_on(track.receive(rtp.Packet(96, True, (65530 + number) & 0xFFFF, number * 3600, 1, payload), now))
        while leg.catching_up:
            leg.due(gop, now)
    assert track.counters.lost > 10
    assert len(frames) > 100
    assert all(frames), "each frame has something in it"
