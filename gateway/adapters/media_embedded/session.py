"""One peer connection in the worker: ICE, DTLS and SRTP joined; media goes to and comes from the hub.

Law: **nothing is taken from an address that did not prove itself** by an authenticated binding message.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from OpenSSL import SSL

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.dtls import Dtls
from gateway.adapters.media_embedded.rules import ice, rtcp, rtp
from gateway.adapters.media_embedded.rules.demux import Demux
from gateway.adapters.media_embedded.rules.description import SENDING, Track
from gateway.adapters.media_embedded.rules.headings import Headings
from gateway.adapters.media_embedded.rules.ice import ControllingAgent, Credentials, LiteAgent
from gateway.adapters.media_embedded.rules.ingest import Ingest
from gateway.adapters.media_embedded.rules.leg import Leg, Plan
from gateway.adapters.media_embedded.rules.line import Line
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.repair import Rtx
from gateway.adapters.media_embedded.rules.rows import Lane, Steady
from gateway.adapters.media_embedded.rules.run import SPAN
from gateway.adapters.media_embedded.rules.seat import Seat
from gateway.adapters.media_embedded.rules.stun import Address, Message
from gateway.adapters.media_embedded.rules.transport import Transport
from gateway.adapters.media_embedded.rules.transport_feedback import Arrivals
from gateway.adapters.media_embedded.socket_port import Heard
from gateway.adapters.media_embedded.srtp import Keys, Secured, SrtpError
from gateway.adapters.media_embedded.way import Way
from gateway.adapters.media_embedded.wire import Open
from gateway.ports.media import EndReason, Layer, SessionKind

CNAME = "silian"
HANDSHAKE_S = 30.0
"""A session without media keys by then is over, however well its ICE may be."""


class Exchange(Protocol):
    """What a session needs of the hub."""

    def bind(self, address: Address, session: "Session") -> None:
        """Route an address to this session."""

    def unbind(self, address: Address, session: "Session") -> None:
        """Stop routing it."""

    def secure(self, keys: Keys) -> Secured:
        """Return the SRTP that works with these keys."""

    def up(self, session: "Session") -> None:
        """Note that the session has keys."""

    def lost(self, session: "Session", reason: EndReason) -> None:
        """Note that the session cannot go on."""

    def again(self, session: "Session") -> None:
        """Repeat what was just sent: the peer could not read it yet."""

    def waiting(self, session: "Session", count: int = 1, *, marked: bool) -> None:
        """Note that `count` were added to `inbox`; `marked` says that a frame's last packet is among them."""

    def feedback(self, session: "Session", items: list[rtcp.Feedback]) -> None:
        """Take RTCP."""

    def drop(self, name: str) -> None:
        """Count a packet that goes no further."""


@dataclass(slots=True)
class Traffic:
    """Counters of one session."""

    packets_in: int = 0
    packets_out: int = 0


class Session:
    """Created by `Open`; dies by `close`. Lite sessions wait, controlling ones begin with `start`."""

    def __init__(self, spec: Open, shared: SSL.Context, port: Way, exchange: Exchange, now: float) -> None:
        self.spec = spec
        self.port = port
        """Where `address` is reached: the way by which its checks came."""
        self._ways: dict[Address, Way] = {}
        self.address: Address | None = None
        self.agent: LiteAgent | ControllingAgent
        if spec.candidates:
            tie_breaker = secrets.randbits(64)
            self.agent = ControllingAgent((spec.local, spec.remote), tie_breaker, lambda: secrets.token_bytes(12))
        else:
            self.agent = LiteAgent(spec.local, now)
        self.addresses: set[Address] = set()
        self.srtp: Secured | None = None
        self.profile = ""
        self.traffic = Traffic()
        self.counted_by = next((t.transport_extension for t in spec.tracks if t.transport_extension), 0)
        self._headings = Headings(Demux(spec.tracks), self.counted_by)
        self.arrivals = Arrivals() if self.counted_by and spec.kind not in SENDING else None
        self.reporter = secrets.randbits(32)
        self.ingests: dict[str, Ingest] = {}
        self.legs: list[Leg] = []
        self.seats: dict[str, Seat] = {}
        self.inbox: list[bytes | rtp.Packet | Steady] = []
        self._places = tuple(t.name for t in spec.tracks)
        self.transport = Transport()
        self.line = Line(self.transport, counted=self.counted_by > 0 and spec.kind in SENDING)
        self._shared = shared
        self._exchange = exchange
        self._dtls: Dtls | None = None
        self._closed = False
        self._began = now
        if spec.kind in SENDING:
            self.legs = [Leg(plan_of(track), spec.session, self.transport) for track in spec.tracks]
            self.seats = {leg.plan.name: seat_of(leg, spec.kind) for leg in self.legs}
        else:
            self.ingests = {
                t.name: Ingest(t.kind, t.codecs, t.repairs, t.announced, t.announced_repairs, t.level_extension)
                for t in spec.tracks
            }

    def estimate(self, now: float) -> int | None:
        """Return bits a second that the line to the far end seems to carry; None where nothing was heard yet."""
        return self.line.estimate(now)

    def start(self, now: float) -> None:
        """Begin the checks of a controlling session."""
        if isinstance(self.agent, ControllingAgent):
            self._perform(self.agent.start(list(self.spec.candidates), now))

    def tick(self, now: float) -> None:
        """Watch ICE; call every 20 ms until connected, then about once a second."""
        if self.srtp is None and now - self._began > HANDSHAKE_S:
            self._exchange.lost(self, EndReason.DTLS)
            return
        self._count_heard()
        self.line.measure(now)
        self._count_checks()
        self._perform(self.agent.tick(now))

    def _count_heard(self) -> None:
        if self.srtp is not None:
            packets, octets, answers = self.srtp.heard()
            self.traffic.packets_in += packets
            self.line.received.octets += octets
            for answer in answers:
                self.line.answered(answer)

    def _count_checks(self) -> None:
        """Let the agent know of checks that were answered at once; before anything that it decides."""
        checked = None if self.srtp is None else self.srtp.consented()
        if checked is not None and isinstance(self.agent, LiteAgent):
            self.agent.checked(*checked)

    def _tell_settled(self) -> None:
        if self.srtp is not None and isinstance(self.agent, LiteAgent):
            self.srtp.consent(self.agent.settled)

    def _tell_addresses(self) -> None:
        if self.srtp is not None:
            self.srtp.heard_by(self.addresses, self.line)

    def restart(self, local: Credentials, now: float) -> list[str]:
        """Take new ICE credentials; returns user names that no longer lead here."""
        if not isinstance(self.agent, LiteAgent):
            return []
        self._count_checks()
        ended = self.agent.restart(local, now)
        self._tell_settled()
        return ended

    def stun(self, message: Message, source: Address, port: Way, now: float) -> None:
        """Take a STUN message that names this session or came to its own socket."""
        if source not in self.addresses:
            self._ways[source] = port
        self._count_checks()
        self._perform(self.agent.handle(message, source, now))
        self._tell_settled()
        if source not in self.addresses:
            self._ways.pop(source, None)  # not believed: nothing of it is kept

    def gone(self, address: Address) -> None:
        """Note that a peer's connection has ended: another proved path takes over, or the next one to come."""
        if isinstance(self.agent, LiteAgent):
            self._count_checks()
            self._perform(self.agent.forget(address))
            if self.address == address:
                self.address = None
            self._tell_settled()

    def _perform(self, effects: list[ice.Effect]) -> None:
        for effect in effects:
            match effect:
                case ice.Send(data, to):
                    self._ways.get(to, self.port).send(data, to)
                case ice.Bound(address):
                    self.addresses.add(address)
                    self._ways.setdefault(address, self.port).prove(address)
                    if self.address is None:
                        self.address, self.port = address, self._ways[address]
                    self._exchange.bind(address, self)
                    self._tell_addresses()
                case ice.Unbound(address):
                    self.addresses.discard(address)
                    self._exchange.unbind(address, self)
                    self._tell_addresses()
                case ice.Selected(address):
                    self.address, self.port = address, self._ways.get(address, self.port)
                    self._begin_dtls()
                case ice.Refused(name):
                    self._exchange.drop(name)
                case ice.Lost(consent):
                    self._exchange.lost(self, EndReason.CONSENT_LOST if consent else EndReason.ICE)

    def release(self, address: Address) -> None:
        """Let go of an address's connection, if it has one."""
        way = self._ways.pop(address, None)
        if way is not None:
            way.release(address)

    def _begin_dtls(self) -> None:
        if self._dtls is None and not self._closed:
            server = self.spec.dtls_server
            self._dtls = Dtls(
                self._shared,
                server=server,
                fingerprint=self.spec.fingerprint,
                send=self._send,
                done=self._done,
                again=lambda: self._exchange.again(self),
            )
            if not server:
                self._dtls.start()

    def _done(self, keys: Keys | None) -> None:
        if keys is None:
            self._exchange.lost(self, EndReason.DTLS if self.srtp is None else EndReason.CLOSED)
            return
        self.srtp = self._exchange.secure(keys)
        self.srtp.ready(self.line)
        self._tell_addresses()
        self._tell_settled()
        self.profile = keys.profile.decode()
        self._exchange.up(self)

    def _send(self, data: bytes) -> None:
        if self.address is not None:
            self.port.send(data, self.address)

    def dtls(self, data: bytes) -> None:
        """Take a DTLS datagram from one of `addresses`."""
        if self._dtls is not None:
            self._dtls.feed(data)

    def secured(self, data: bytes) -> None:
        """Take an SRTP or SRTCP datagram from one of `addresses`; RTP waits in `inbox` for `opened`."""
        if self.srtp is None:
            self._exchange.drop("before_keys")
            return
        self.traffic.packets_in += 1
        self.line.received.octets += len(data)
        if not 192 <= data[1] <= 223:  # RFC 5761 section 4: packet types of RTCP
            self.inbox.append(data)
            self._exchange.waiting(self, marked=data[1] > 127)
            return
        self._count_heard()  # what was said before; a round trip may decide what is done now
        try:
            compound = self.srtp.hear(data, self.line, moment.now())
            if compound:
                self._exchange.feedback(self, rtcp.parse(compound))
        except SrtpError as error:
            self._exchange.drop(error.name)
        except MalformedError:
            self._exchange.drop("malformed")

    def read(self, heard: Heard) -> None:
        """Take media from one of `addresses` that is read already; it waits in `inbox` like datagrams."""
        self.traffic.packets_in += heard.total + len(heard.wrong)
        self.line.received.octets += heard.octets
        for name in heard.wrong:
            self._exchange.drop(name)
        if heard.total:
            self.inbox += heard.packets
            self._exchange.waiting(self, len(heard.packets), marked=heard.marked)

    def opened(self, most: int) -> list[rtp.Packet | Steady]:
        """Decrypt and read the first packets of the inbox, `most` of them; what cannot be is counted.

        Packets that follow on may be more, if they came at once.
        """
        waiting, self.inbox = self.inbox, []
        count = 0
        for place, one in enumerate(waiting):
            count += one.rows.total if isinstance(one, Steady) else 1
            if count >= most and place + 1 < len(waiting):
                waiting, self.inbox = waiting[: place + 1], waiting[place + 1 :]
                break
        if self.srtp is None:
            return []
        sealed = [one for one in waiting if isinstance(one, bytes)]
        if not sealed:
            return joined([one for one in waiting if not isinstance(one, bytes)])
        rest = [one for one in waiting if not isinstance(one, bytes)]
        return [*self.srtp.read(sealed, self._exchange.drop), *joined(rest)]

    def track_of(self, steady: Steady, now: float) -> str:
        """Name the track of packets that follow on, and note when they came."""
        if self.arrivals is not None and steady.wide >= 0:
            number = steady.wide
            for count, came in steady.came or ((steady.rows.total, now),):
                self.arrivals.add_run(number & 0xFFFF, count, came)
                number += count
        return self._places[steady.lane]

    def follow(self, tracks: Mapping[str, list[rtp.Packet]]) -> None:
        """Let what follows on these packets, which were just forwarded, be taken the short way."""
        if self.srtp is None or self.inbox:
            return
        for name, packets in tracks.items():
            ingest, last = self.ingests.get(name), packets[-1]
            said = None if ingest is None else ingest.steady()
            if said is None or said[0] != last.ssrc or said[2] != last.payload_type:
                continue
            found = self._headings.pattern(last)
            if found is not None and found[0] == name:
                look = said[3].partition("/")[0] if ingest is not None and ingest.kind == "video" else ""
                lane = Lane(last.ssrc, said[1], last.payload_type, look, last.block, found[1])
                self.srtp.follow(self._places.index(name), lane)

    def by_track(self, packets: list[rtp.Packet], now: float) -> dict[str, list[rtp.Packet]]:
        """Sort packets by their tracks' names, those of no track under none, and note when they came.

        Header extensions are read here, once; the moments are for the feedback that the sender regulates itself by.
        """
        tracks: dict[str, list[rtp.Packet]] = {}
        arrivals, read = self.arrivals, self._headings.read
        for packet in packets:
            name, number = read(packet)
            if arrivals is not None and number >= 0:
                arrivals.add(number, packet.came or now)
            found = tracks.get(name)
            if found is None:
                tracks[name] = [packet]
            else:
                found.append(packet)
        return tracks

    def answer_arrivals(self, now: float) -> None:
        """Send transport-wide feedback when it is due; call every 20 ms."""
        if self.arrivals is None or not self.arrivals.due(now):
            return
        ssrc = next((ingest.ssrc for ingest in self.ingests.values() if ingest.ssrc is not None), 0)
        for packet in self.arrivals.build(self.reporter, ssrc):
            self.send_rtcp(self.receiver_head + packet)

    @cached_property
    def receiver_head(self) -> bytes:
        """The beginning of a compound: an empty receiver report and our name, as RFC 3550 section 6.1 wants it."""
        empty = rtcp.ReceiverInfo(self.reporter, ())
        return rtcp.receiver_report(empty) + rtcp.source_description(self.reporter, CNAME)

    def send_rtp(self, datagram: bytes) -> None:
        """Encrypt and send one packet of a leg."""
        self._protected(datagram, None if self.srtp is None else self.srtp.protect)

    def unfit(self) -> None:
        """Count a packet that does not fit a datagram."""
        self._exchange.drop("unsent_srtp")

    def send_rtcp(self, compound: bytes) -> None:
        """Encrypt and send a compound."""
        self._protected(compound, None if self.srtp is None else self.srtp.protect_rtcp)

    def _protected(self, data: bytes, protect: Callable[[bytes], bytes] | None) -> None:
        if protect is None or self.address is None:
            return
        try:
            secured = protect(data)
        except SrtpError as error:
            self._exchange.drop(f"unsent_{error.name}")
            return
        self.port.send(secured, self.address)
        self.traffic.packets_out += 1
        self.line.sent.octets += len(secured)

    def close(self) -> None:
        """End it: close_notify to the peer, no more timers, no more keys.

        Nothing here holds the session in a ring then: the collector, which comes rarely, would find it too late.
        """
        self._closed = True
        for _ in self.inbox:
            self._exchange.drop("not_the_source")
        self.inbox = []
        self.srtp = None
        if self._dtls is not None:
            self._dtls.close()
            self._dtls = None


def joined(items: list[rtp.Packet | Steady]) -> list[rtp.Packet | Steady]:
    """Return the same with what follows on one another in one, as long as a plain run may be."""
    out: list[rtp.Packet | Steady] = []
    for item in items:
        before = out[-1] if out else None
        if isinstance(item, Steady) and isinstance(before, Steady) and before.rows.total + item.rows.total < SPAN:
            both = item.behind(before)
            if both is not None:
                out[-1] = both
                continue
        out.append(item)
    return out


def plan_of(track: Track) -> Plan:
    """Build the plan of a leg from the agreed track; where counters begin is random (RFC 3550 section 5.1)."""
    elements = {track.mid_extension: track.mid.encode()} if track.mid_extension else {}
    rtx = Rtx(track.repair_ssrc, track.sends_repairs, secrets.randbits(15)) if track.sends_repairs else None
    return Plan(
        track.kind, track.ssrc, track.payload_types(), elements, secrets.randbits(15), secrets.randbits(32), track.name,
        track.transport_extension, rtx, track.level_extension,
    )  # fmt: skip


def seat_of(leg: Leg, kind: SessionKind) -> Seat:
    """Make the seat of a leg: a relay passes on what there is, a viewer's one picture is shown whatever happens."""
    if kind in {SessionKind.RELAY, SessionKind.BRIDGE}:
        seat = Seat(leg, Layer.THUMB if leg.plan.name == Layer.THUMB else Layer.MAIN, exact=True, counts=False)
        seat.priority = 1 if seat.wish is Layer.THUMB else 2  # a line that is too thin shows every camera small
        seat.inner = kind is SessionKind.BRIDGE
        return seat
    seat = Seat(leg)
    if kind is SessionKind.WHEP:
        seat.priority, seat.vital = 1, True
    return seat
