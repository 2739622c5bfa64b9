"""A source that sends RTP as it is: another engine on this machine or on a line that is protected otherwise.

Law: **nothing is taken but from the one host agreed on, and of that only the SSRCs and payload types agreed on.**
There is neither ICE nor DTLS; whoever opened the session says when it is over.
"""

from collections.abc import Callable, Iterable

from OpenSSL import SSL
from typing_extensions import override

from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.session import Exchange, Session
from gateway.adapters.media_embedded.srtp import LongWay
from gateway.adapters.media_embedded.way import Way
from gateway.adapters.media_embedded.wire import Open


class Plain(LongWay):
    """Stands where other sessions have their SRTP (`srtp.Secured`)."""

    def __init__(self, tracks: Iterable[Track]) -> None:
        self._agreed = {(ssrc, number) for track in tracks for ssrc in track.announced for number in track.codecs}

    def protect(self, packet: bytes) -> bytes:
        """Return the packet."""
        return packet

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Return the compound."""
        return packet

    def read(self, waiting: Iterable[bytes], drop: Callable[[str], None]) -> list[rtp.Packet]:
        """Parse RTP packets of the agreed SSRCs and payload types; all else is counted with `drop`."""
        packets: list[rtp.Packet] = []
        for data in waiting:
            try:
                packet = rtp.parse(data)
            except MalformedError:
                drop("malformed")
                continue
            if (packet.ssrc, packet.payload_type) in self._agreed:
                packets.append(packet)
            else:
                drop("not_agreed")
        return packets

    @override
    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Return the compound."""
        return packet


class PlainSession(Session):
    """Receives from the host of its one candidate, and sends its RTCP there."""

    def __init__(self, spec: Open, shared: SSL.Context, port: Way, exchange: Exchange, now: float) -> None:
        super().__init__(spec, shared, port, exchange, now)
        self._to = exchange

    @override
    def start(self, now: float) -> None:
        """Be connected at once."""
        self.address = self.spec.candidates[0]
        self.srtp = Plain(self.spec.tracks)
        self.profile = "plain"
        self._to.up(self)

    @override
    def tick(self, now: float) -> None:
        """Measure; there is no consent to watch."""
        self.line.measure(now)

    def take(self, data: bytes, source: Address) -> None:
        """Take a datagram that came to its socket."""
        if source[0] != self.spec.candidates[0][0]:
            self._to.drop("unknown_address")
        elif 128 <= data[0] <= 191 and len(data) >= rtp.HEADER:
            self.secured(data)
        else:
            self._to.drop("unknown_kind")
