"""A light WebRTC session: real ICE, DTLS and SRTP, and only as much RTP as counting it takes.

A hundred of them cost a fraction of a core, so that the thing measured is not the load. After the handshake nothing
wakes a receiver: `drain` is called every 10 ms and takes what the kernel has kept, as a network card's interrupt would.
"""

import asyncio
import secrets
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from OpenSSL import SSL
from typing_extensions import override

from gateway.adapters.media_embedded.dtls import Dtls, context
from gateway.adapters.media_embedded.identity import Identity
from gateway.adapters.media_embedded.rules import ice, rtcp, stun
from gateway.adapters.media_embedded.rules.description import Local
from gateway.adapters.media_embedded.rules.ice import ControllingAgent, Credentials, LiteAgent
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.rules.transport_feedback import Arrivals
from gateway.adapters.media_embedded.srtp import Keys, Srtp, SrtpError
from gateway.bench import description
from gateway.bench.description import Agreed
from protocols.errors import LinkError

UP_S = 20.0
LONGEST = 2048
BUFFER = 1 << 20
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
PROFILE = b"SRTP_AEAD_AES_128_GCM"
SAMPLED = 50
"""Every so-manieth packet of a receiver is decrypted, to prove that what is counted is media."""
CNAME = "bench"


@dataclass(frozen=True, slots=True)
class Shop:
    """What all peers of a process share."""

    host: str
    identity: Identity
    shared: SSL.Context

    @classmethod
    def open(cls, host: str, identity: Identity, profile: bytes = PROFILE) -> "Shop":
        """Offer one SRTP profile alone, so that everything measured encrypts the same way."""
        shared = context(identity.certificate, identity.key)
        shared.set_tlsext_use_srtp(profile)
        return cls(host, identity, shared)


def transport_number(packet: bytes | bytearray, extension: int) -> int | None:
    """Return the transport-wide number of a packet with one-byte extensions (RFC 8285); None where it has none."""
    if not extension or not packet[0] & 0x10:
        return None
    at = 12 + 4 * (packet[0] & 15)
    end = at + 4 + 4 * (packet[at + 2] << 8 | packet[at + 3])
    at += 4
    while at < end:
        head = packet[at]
        if head >> 4 == extension:
            return packet[at + 1] << 8 | packet[at + 2]
        at += 1 if head == 0 else 2 + (head & 15)
    return None


class Peer:
    """One session. Make an offer or answer one, then `up`; `on_rtp` and `on_rtcp` take what is decrypted."""

    def __init__(self, shop: Shop, codec: str) -> None:
        self.codec = codec
        self.ssrc = secrets.randbits(31) + 1
        self.agreed: Agreed | None = None
        self.srtp: Srtp | None = None
        self.profile = ""
        self.address: Address | None = None
        self.ended = False
        self.connected = asyncio.Event()
        self.on_rtcp: Callable[[list[rtcp.Feedback]], None] | None = None
        self._shop = shop
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.bind((shop.host, 0))
        self._local = Local(
            Credentials(secrets.token_hex(4), secrets.token_hex(16)), shop.identity.fingerprint,
            ((shop.host, self._socket.getsockname()[1]),),
        )  # fmt: skip
        self._agent: LiteAgent | ControllingAgent | None = None
        self._dtls: Dtls | None = None
        self._early: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._watched = False
        self._watch()

    # -- descriptions -----------------------------------------------------------------------------------------------

    def offer(self, *, sends: bool, slots: int = 1) -> str:
        """Offer to send one video, or to receive some."""
        return description.offer(self._local, self.codec, sends=self.ssrc if sends else 0, slots=slots)

    def accept(self, text: str) -> None:
        """Take the answer and begin the checks; raises BadMediaError, LinkError where it names no address."""
        self.agreed = agreed = description.accepted(text, self.codec)
        if not agreed.remote.candidates:
            raise LinkError("the answer names no address")
        pair = (self._local.credentials, agreed.remote.credentials)
        self._agent = ControllingAgent(pair, secrets.randbits(64), lambda: secrets.token_bytes(12))
        own = [one for one in agreed.remote.candidates if one[0] == self._shop.host]
        self._perform(self._agent.start(own or list(agreed.remote.candidates), time.monotonic()))

    def answer(self, text: str) -> str:
        """Answer an offer to receive; the other end then checks us."""
        told, self.agreed = description.answer(self._local, text, self.codec)
        self._agent = LiteAgent(self._local.credentials, time.monotonic())
        return told

    async def up(self, within_s: float = UP_S) -> None:
        """Wait for media keys; raises LinkError."""
        end = time.monotonic() + within_s
        while not self.connected.is_set():
            if self.ended or time.monotonic() > end:
                raise LinkError("a media session did not come up")
            if self._agent is not None and self.address is None:
                self._perform(self._agent.tick(time.monotonic()))
            try:
                async with asyncio.timeout(0.02):
                    await self.connected.wait()
            except TimeoutError:
                continue

    # -- datagrams --------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            self._loop.add_reader(self._socket.fileno(), self.drain)

    def rest(self) -> None:
        """Wake for no datagram any more: `drain` is called from outside from now on."""
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._socket.fileno())

    def drain(self) -> None:
        """Take what has come."""
        while True:
            try:
                data, source = self._socket.recvfrom(LONGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # the answer to a datagram that nobody took
            self.take(data, (source[0], source[1]))

    def take(self, data: bytes, source: Address) -> None:
        """Take one datagram."""
        first = data[0]
        if first < 4:
            self._stun(data, source)
        elif 20 <= first <= 63:
            self._hello(data)
        elif self.srtp is not None and 128 <= first <= 191:
            if 192 <= data[1] <= 223:
                self._control(data)
            else:
                self.rtp(data, 0)

    def rtp(self, data: bytes, stamp_ns: int) -> None:
        """Take an encrypted RTP packet; receivers say what they do with it."""

    def _control(self, data: bytes) -> None:
        if self.on_rtcp is None or self.srtp is None:
            return
        try:
            self.on_rtcp(rtcp.parse(self.srtp.unprotect_rtcp(data)))
        except (SrtpError, MalformedError):
            return

    def _stun(self, data: bytes, source: Address) -> None:
        if self._agent is None:
            return
        try:
            self._perform(self._agent.handle(stun.parse(data), source, time.monotonic()))
        except MalformedError:
            return

    def _perform(self, effects: list[ice.Effect]) -> None:
        for effect in effects:
            match effect:
                case ice.Send(data, to):
                    self._out(data, to)
                case ice.Selected(address):
                    self.address = address
                    self._shake()
                case ice.Lost():
                    self.ended = True
                case ice.Bound() | ice.Unbound() | ice.Refused():
                    continue

    def _shake(self) -> None:
        if self._dtls is not None or self.agreed is None:
            return
        # An answer's role is the other end's own; an offer of actpass was answered by us with active.
        server = isinstance(self._agent, ControllingAgent) and self.agreed.remote.setup == "active"
        self._dtls = Dtls(
            self._shop.shared, server=server, fingerprint=self.agreed.remote.fingerprint, send=self.send,
            done=self._done, again=lambda: None,
        )  # fmt: skip
        if not server:
            self._dtls.start()
        early, self._early = self._early, []
        for data in early:
            self._dtls.feed(data)

    def _hello(self, data: bytes) -> None:
        if self._dtls is not None:
            self._dtls.feed(data)
        elif len(self._early) < 8:
            self._early.append(data)

    def _done(self, keys: Keys | None) -> None:
        if keys is None:
            self.ended = True
            return
        self.srtp, self.profile = Srtp(keys), keys.profile.decode()
        self.connected.set()

    def send(self, data: bytes) -> None:
        """Send a datagram to the other end."""
        if self.address is not None:
            self._out(data, self.address)

    def _out(self, data: bytes, to: Address) -> None:
        try:
            self._socket.sendto(data, to)
        except OSError:
            return  # a full buffer or a peer that is gone: a network loses datagrams too

    def send_rtcp(self, compound: bytes) -> None:
        """Encrypt and send a compound."""
        if self.srtp is not None:
            self.send(self.srtp.protect_rtcp(compound))

    def tick(self, now: float) -> None:
        """Keep the consent; call about once a second."""
        if self._agent is not None:
            self._perform(self._agent.tick(now))

    def close(self) -> None:
        """Say goodbye and free the port."""
        if not self.ended and self._dtls is not None:
            self._dtls.close()
        self.vanish()

    def vanish(self) -> None:
        """Free the port without a word."""
        self.ended = True
        self.rest()
        self._socket.close()


class Counter(Peer):
    """A receiver that counts: packets, gaps, and of every `SAMPLED`th packet whether it decrypts."""

    def __init__(self, shop: Shop, codec: str) -> None:
        super().__init__(shop, codec)
        self.packets = self.octets = self.forged = 0
        self.remote_ssrc = 0
        self.highest = self.first = -1
        self.arrivals: Arrivals | None = None
        self.delays: list[float] | None = None
        self.sent_at: dict[bytes, int] = {}
        self._now = 0.0
        self._buffer = bytearray(LONGEST)

    @property
    def expected(self) -> int:
        """Packets that were sent to us, by their numbers."""
        return self.highest - self.first + 1 if self.first >= 0 else 0

    def stamped(self, sent_at: dict[bytes, int]) -> None:
        """Measure delays from now on: `sent_at` gives the sender's clock by the end of a packet's payload."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sent_at, self.delays = sent_at, []

    @override
    def drain(self) -> None:  # noqa: C901 - the one hot loop of the load: each call saved is a leg more
        """Take what has come, with as little work as counting needs."""
        if self.srtp is None:
            super().drain()
            return
        if self.delays is not None:
            self._drain_stamped()
            return
        self._now = time.monotonic()
        receive, buffer, counted = self._socket.recv_into, self._buffer, self.arrivals
        try:
            while True:
                size = receive(buffer)
                if buffer[0] & 0xC0 != 0x80 or 192 <= buffer[1] <= 223:
                    self.take(bytes(buffer[:size]), self.address or ("", 0))
                    continue
                self.packets += 1
                self.octets += size
                number = buffer[2] << 8 | buffer[3]
                step = (number - self.highest) & 0xFFFF
                if 0 < step < 0x8000 and self.first >= 0:
                    self.highest += step
                elif self.first < 0:
                    self._begin(buffer, number)
                if counted is not None:
                    self._note(buffer)
                if not self.packets % SAMPLED:
                    self._prove(bytes(buffer[:size]))
        except BlockingIOError:
            return
        except OSError:
            return

    def _begin(self, packet: bytes | bytearray, number: int) -> None:
        self.first = self.highest = number
        self.remote_ssrc = struct.unpack_from("!I", packet, 8)[0]
        if self.agreed is not None and self.agreed.transport_id:
            self.arrivals = Arrivals()

    def _note(self, packet: bytes | bytearray) -> None:
        """Note the transport-wide number of a packet."""
        if self.arrivals is not None and self.agreed is not None:
            number = transport_number(packet, self.agreed.transport_id)
            if number is not None:
                self.arrivals.add(number, self._now)

    def _prove(self, data: bytes) -> bytes:
        if self.srtp is None:
            return b""
        try:
            return self.srtp.unprotect(data)
        except SrtpError as error:
            self.forged += error.name != "replay"
            return b""

    def _drain_stamped(self) -> None:
        self._now = time.monotonic()
        while True:
            try:
                data, extra, _, source = self._socket.recvmsg(LONGEST, 64)
            except BlockingIOError:
                return
            except OSError:
                continue
            if data[0] & 0xC0 != 0x80 or 192 <= data[1] <= 223:
                self.take(data, (source[0], source[1]))
                continue
            self.packets += 1
            self.octets += len(data)
            number = data[2] << 8 | data[3]
            if self.first < 0:
                self._begin(data, number)
            step = (number - self.highest) & 0xFFFF
            if 0 < step < 0x8000:
                self.highest += step
            self._note(data)
            self._time(self._prove(data), extra)

    def _time(self, plain: bytes, extra: list[tuple[int, int, bytes]]) -> None:
        sent = self.sent_at.pop(plain[-16:], None) if plain else None
        stamp = next(
            (value for level, kind, value in extra if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)), None
        )
        if sent is None or stamp is None or self.delays is None:
            return
        seconds, nanoseconds = struct.unpack("qq", stamp[:16])
        self.delays.append((seconds * 1_000_000_000 + nanoseconds - sent) / 1e6)

    def report(self, now: float) -> None:
        """Send a receiver report and keep the consent; call once a second."""
        self.tick(now)
        if self.first < 0:
            return
        lost = max(0, self.expected - self.packets)
        block = rtcp.Report(self.remote_ssrc, 0, min(lost, 0x7FFFFF), self.highest & 0xFFFFFFFF, 0, 0, 0)
        compound = rtcp.receiver_report(rtcp.ReceiverInfo(self.ssrc, (block,)))
        self.send_rtcp(compound + rtcp.source_description(self.ssrc, CNAME))

    def answer_arrivals(self, now: float) -> None:
        """Send transport-wide feedback where it was agreed and is due."""
        if self.arrivals is not None and self.arrivals.due(now):
            for packet in self.arrivals.build(self.ssrc, self.remote_ssrc):
                self.send_rtcp(rtcp.receiver_report(rtcp.ReceiverInfo(self.ssrc, ())) + packet)


class WallCounter(Counter):
    """A wall that counts: one connection, a track in each slot. Every track's numbers are watched by themselves."""

    def __init__(self, shop: Shop, codec: str) -> None:
        super().__init__(shop, codec)
        self.tracks: dict[bytes, list[int]] = {}
        """First and highest number by the four bytes of an SSRC."""

    @property
    @override
    def expected(self) -> int:
        return sum(highest - first + 1 for first, highest in self.tracks.values())

    @override
    def _begin(self, packet: bytes | bytearray, number: int) -> None:
        super()._begin(packet, number)
        self.arrivals = self.arrivals or Arrivals()  # so that every packet is noted, agreed or not
        self._note(packet)

    @override
    def _note(self, packet: bytes | bytearray) -> None:
        if self.agreed is not None and self.agreed.transport_id:
            super()._note(packet)
        number = packet[2] << 8 | packet[3]
        track = self.tracks.setdefault(bytes(packet[8:12]), [number, number])
        step = (number - track[1]) & 0xFFFF
        if 0 < step < 0x8000:
            track[1] += step

    @override
    def report(self, now: float) -> None:
        self.tick(now)
        blocks = tuple(
            rtcp.Report(int.from_bytes(ssrc, "big"), 0, 0, highest & 0xFFFFFFFF, 0, 0, 0)
            for ssrc, (_, highest) in self.tracks.items()
        )
        if blocks:
            compound = rtcp.receiver_report(rtcp.ReceiverInfo(self.ssrc, blocks))
            self.send_rtcp(compound + rtcp.source_description(self.ssrc, CNAME))


class Publisher(Peer):
    """A sender of prerecorded packets: numbers, time stamps and encryption are live. It answers NACK."""

    KEPT = 1024

    def __init__(self, shop: Shop, codec: str) -> None:
        super().__init__(shop, codec)
        self.sent = self.repeated = self.key_frames_asked = 0
        self.sent_at: list[dict[bytes, int]] = []
        self.on_rtcp = self._heard
        self._number = secrets.randbits(15)
        self._counter = 0
        self._origin = secrets.randbits(31)
        self._timestamp = self._octets = 0
        self._kept: dict[int, bytes] = {}

    def frame(self, payloads: tuple[bytes, ...], timestamp: int) -> None:
        """Send one picture; `timestamp` counts from the publisher's beginning."""
        agreed, srtp = self.agreed, self.srtp
        if agreed is None or srtp is None:
            return
        self._timestamp = (self._origin + timestamp) & 0xFFFFFFFF
        last = len(payloads) - 1
        for place, payload in enumerate(payloads):
            marker = 0x80 if place == last else 0
            extension = self._extension(agreed)
            head = struct.pack(
                "!BBHII", 0x90 if extension else 0x80, agreed.payload_type | marker, self._number, self._timestamp,
                self.ssrc,
            )  # fmt: skip
            datagram = srtp.protect(head + extension + payload)
            self._kept[self._number] = datagram
            self._kept.pop((self._number - self.KEPT) & 0xFFFF, None)
            if self.sent_at:
                stamp = time.time_ns()
                for table in self.sent_at:
                    table[payload[-16:]] = stamp
            self.send(datagram)
            self._number = (self._number + 1) & 0xFFFF
            self._octets += len(payload)
        self.sent += len(payloads)

    def _extension(self, agreed: Agreed) -> bytes:
        elements = b""
        if agreed.mid_id and agreed.mid:
            mid = agreed.mid.encode()
            elements += bytes([agreed.mid_id << 4 | len(mid) - 1]) + mid
        if agreed.transport_id:
            elements += struct.pack("!BH", agreed.transport_id << 4 | 1, self._counter)
            self._counter = (self._counter + 1) & 0xFFFF
        if not elements:
            return b""
        elements += b"\0" * (-len(elements) & 3)
        return struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements

    def _heard(self, items: list[rtcp.Feedback]) -> None:
        for item in items:
            if isinstance(item, rtcp.Nack):
                for number in item.sequences:
                    if (datagram := self._kept.get(number)) is not None:
                        self.repeated += 1
                        self.send(datagram)
            elif isinstance(item, rtcp.KeyFrameAsked):
                self.key_frames_asked += 1

    def report(self, now: float) -> None:
        """Send a sender report and keep the consent; call once a second."""
        self.tick(now)
        if not self.sent:
            return
        info = rtcp.SenderInfo(self.ssrc, rtcp.ntp_time(time.time()), self._timestamp, self.sent, self._octets)
        self.send_rtcp(rtcp.sender_report(info) + rtcp.source_description(self.ssrc, CNAME))
