"""The worker's switchboard: datagrams to sessions, sessions to streams, streams to legs.

Everything is bounded, and what is refused is counted by name in `dropped`.
"""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

from OpenSSL import SSL

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.intake import Intake
from gateway.adapters.media_embedded.paths import PacketPath
from gateway.adapters.media_embedded.plain import PlainSession
from gateway.adapters.media_embedded.rules import rtcp, rtp, stun
from gateway.adapters.media_embedded.rules.forward import Stream
from gateway.adapters.media_embedded.rules.ice import Credentials, Send, refusal
from gateway.adapters.media_embedded.rules.leg import BURST_EVERY_S, Leg
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.ring import Sent
from gateway.adapters.media_embedded.rules.rows import Steady
from gateway.adapters.media_embedded.rules.seat import Seat
from gateway.adapters.media_embedded.rules.strand import Out, Strand
from gateway.adapters.media_embedded.rules.stun import Address
from gateway.adapters.media_embedded.rules.tapping import Tap
from gateway.adapters.media_embedded.rules.transport_feedback import TransportFeedback
from gateway.adapters.media_embedded.seating import Seating
from gateway.adapters.media_embedded.session import CNAME, Session
from gateway.adapters.media_embedded.socket_port import Heard
from gateway.adapters.media_embedded.srtp import Keys, Secured
from gateway.adapters.media_embedded.way import Way
from gateway.adapters.media_embedded.wire import Changed, Open, Over, Shows, Up, Wanted
from gateway.ports.media import EndReason, Layer, SessionKind, Slot

TICK_S = 0.02
SECOND_S = 1.0
TELL_EVERY_S = 0.1
HANDSHAKE_SLICE_S = 0.002
"""Forwarding never waits longer than this for handshakes of joiners."""
MAX_EARLY, EARLY_EACH, EARLY_S = 256, 8, 2.0
"""Hellos that overtook their first binding request are kept: addresses, datagrams of each, seconds."""
MAX_HANDSHAKES = 4096
MAX_SESSIONS = 4096
RECEIVE_BITRATE = 4_000_000
"""What publishers without transport-wide feedback are told to send at most (REMB), bits per second.

Enough for 1080p of a camera, and it keeps one publisher from filling a county's line; without any word a browser stays
at 300 kbit/s. Whoever gets transport-wide feedback finds the line's capacity by itself.
"""

LAG_FADES = 0.96
"""What is left of a lag after a tick without another."""
WINDOW_S = 0.001
"""What comes in within this goes out together, unless a frame is whole before."""

Event = Up | Over | Changed | Wanted | Shows


class Hub:
    """Owns sessions and streams; `emit` is called for each event. Ports call `receive`, and `drained` after a slice."""

    def __init__(
        self,
        shared: SSL.Context,
        path: PacketPath,
        emit: Callable[[Event], None],
        window_s: float = WINDOW_S,
        uplink_bps: int = 0,
    ) -> None:
        self.sessions: dict[str, Session] = {}
        self.seating = Seating(self._send, emit, self._start_pacing, uplink_bps, fans=path.fans)
        self.streams = self.seating.streams
        self.dropped: Counter[str] = Counter()
        self.loop_lag_s = 0.0
        self.changed = asyncio.Event()
        self._shared = shared
        self._path = path
        self._emit = emit
        self._young: dict[str, Session] = {}
        """Sessions without keys, which are ticked more often."""
        self._by_ufrag: dict[str, Session] = {}
        self._by_address: dict[Address, Session] = {}
        self._early: dict[Address, tuple[float, list[bytes]]] = {}
        self._handshakes: deque[tuple[Session, bytes]] = deque()
        self._loop = asyncio.get_running_loop()
        self._intake = Intake(self._media, self._late, window_s)
        self.drained = self._intake.drained
        """Ports call this after a slice."""
        self.single = self._intake.single
        """Ports without slices call this after a packet."""
        self._pacing = False
        self._ticker: asyncio.TimerHandle | None = None
        self._due_at = self._second_at = self._told_at = 0.0
        self._steady_late_s = math.inf

    @property
    def modes(self) -> dict[str, str]:
        """How packets are sent at the moment."""
        return self._path.modes()

    # -- sessions ------------------------------------------------------------------------------------------------

    def open(self, spec: Open, port: Way) -> bool:
        """Begin a session; False where the worker has as many as it takes."""
        if len(self.sessions) >= MAX_SESSIONS:
            self.drop("too_many_sessions")
            return False
        now = moment.now()
        made = PlainSession if spec.plain else Session
        session = made(spec, self._shared, port, self, now)
        self.sessions[spec.session] = self._young[spec.session] = session
        self._by_ufrag[spec.local.ufrag] = session
        self.seating.open(session, now)
        session.start(now)
        if self._ticker is None:
            self._due_at = self._loop.time() + TICK_S
            self._ticker = self._loop.call_at(self._due_at, self._tick)
        return True

    def restart(self, name: str, local: Credentials) -> bool:
        """ICE restart of a session; False if there is none of that name."""
        session = self.sessions.get(name)
        if session is None:
            return False
        for ufrag in session.restart(local, moment.now()):
            self._by_ufrag.pop(ufrag, None)
        self._by_ufrag[local.ufrag] = session
        return True

    def carry(self, name: str, layers: frozenset[Layer]) -> bool:
        """Let a relay send these layers alone; False if there is none of that name."""
        session = self.sessions.get(name)
        if session is None:
            return False
        self.seating.carry(session, layers, moment.now())
        return True

    def assign(self, name: str, slots: Iterable[Slot]) -> bool:
        """Change what stands in slots of a wall; False for a session or slot that is not there."""
        session = self.sessions.get(name)
        if session is None or session.spec.kind is not SessionKind.WALL:
            return False
        return self.seating.assign(session, slots, moment.now())

    def close(self, name: str, reason: EndReason) -> None:
        """End a session and tell control."""
        session = self.sessions.pop(name, None)
        if session is None:
            return
        self._young.pop(name, None)
        session.close()
        for ufrag in [u for u, s in self._by_ufrag.items() if s is session]:
            del self._by_ufrag[ufrag]
        for address in tuple(session.addresses):
            self.unbind(address, session)
        for leg in session.legs:
            self.dropped.update(leg.dropped)
        left = self.seating.close(session, moment.now())
        stream = self.streams.get(session.spec.stream)
        if stream is not None and stream.source == name:
            stream.drop_source()
        for one in {stream, *left} - {None}:
            if one is not None:
                self._note(one)
                self._forget_if_idle(one)
        self._emit(Over(name, reason))

    def tap(self, tap: Tap, name: str) -> None:
        """Let a recording follow a stream, whether or not it has a source."""
        stream = self.seating.stream(name)
        now = moment.now()
        stream.tap(tap, now)
        self.seating.settle(stream, now)
        self._ask_source(stream, now)

    def untap(self, name: str) -> None:
        """End a recording's tap; an unknown one is no error."""
        for stream in list(self.streams.values()):
            if stream.untap(name):
                self.seating.settle(stream, moment.now())
                self._forget_if_idle(stream)

    def _forget_if_idle(self, stream: Stream) -> None:
        if stream.idle and not any(s.spec.stream == stream.name for s in self.sessions.values()):
            self.dropped.update(stream.totals.dropped)
            self.dropped.update({"gop_overflow": sum(strand.gop.overflows for strand in stream.pictures)})
            self.seating.forget(stream)

    # -- what sessions call (Exchange) ---------------------------------------------------------------------------

    def bind(self, address: Address, session: Session) -> None:
        """Route an address to the session that proved it last."""
        self._by_address[address] = session
        _, early = self._early.pop(address, (0.0, []))
        for datagram in early:
            self._queue(session, datagram)

    def unbind(self, address: Address, session: Session) -> None:
        """Stop routing an address."""
        if self._by_address.get(address) is session:
            del self._by_address[address]
            session.release(address)

    def secure(self, keys: Keys) -> Secured:
        """Return the SRTP of a session in the way of this worker's packet path."""
        return self._path.secure(keys)

    def up(self, session: Session) -> None:
        """Join a connected session to its stream: a publisher takes it over, a viewer starts at the last key frame."""
        now = moment.now()
        self._young.pop(session.spec.session, None)
        self._emit(Up(session.spec.session))
        if session.ingests:
            stream = self.seating.stream(session.spec.stream)
            former = stream.source
            stream.set_source(session.spec.session, session.ingests)
            if former is not None:
                self.close(former, EndReason.REPLACED)
            self._note(stream)
            self._ask_source(stream, now)
        self.seating.up(session, now)

    def lost(self, session: Session, reason: EndReason) -> None:
        """End a session that cannot go on."""
        self.close(session.spec.session, reason)

    def again(self, session: Session) -> None:
        """Repeat a join that the viewer could not read yet."""
        now = moment.now()
        for leg in session.legs:
            self._send_of(leg, leg.again(now))

    def waiting(self, session: Session, count: int = 1, *, marked: bool) -> None:
        """Have the session's inbox emptied: with the batch, or after this slice if a frame's last packet is in."""
        self._intake.waiting(session, count, marked=marked)

    def _media(self, session: Session, items: list[rtp.Packet | Steady]) -> None:
        """Forward packets of the stream's source, track by track."""
        stream = self.streams.get(session.spec.stream)
        now = moment.now()
        source = stream if stream is not None and stream.source == session.spec.session else None
        singly: list[rtp.Packet] = []
        for item in items:
            if not isinstance(item, Steady):
                singly.append(item)
                continue
            if singly:
                self._singly(session, source, singly, now)
                singly = []
            track = session.track_of(item, now)
            if source is None:
                self.dropped["not_the_source"] += item.rows.total
            else:
                self._send(source.steady(track, item, now))
        if singly:
            self._singly(session, source, singly, now)
        if source is not None:
            self._after_stream(source, now)

    def _singly(self, session: Session, source: Stream | None, packets: list[rtp.Packet], now: float) -> None:
        tracks = session.by_track(packets, now)
        if source is None:
            self.dropped["not_the_source"] += len(packets)
            return
        if unknown := tracks.pop("", None):
            self.dropped["unknown_track"] += len(unknown)
        for name, batch in tracks.items():
            self._send(source.packets(name, batch, now))
        session.follow(tracks)

    def _send(self, out: Out) -> None:
        self._path.send(out, self.sessions)

    def _send_of(self, leg: Leg, sent: list[Sent]) -> None:
        if sent:
            self._send([(leg.owner, leg.plan.ssrc, sent)])

    def _after_stream(self, stream: Stream, now: float) -> None:
        self.seating.go(now)
        if stream.catching:
            self._start_pacing()
        if stream.wishing:
            self._ask_source(stream, now)

    def _start_pacing(self) -> None:
        if not self._pacing:
            self._pacing = True
            self._loop.call_later(BURST_EVERY_S, self._pace)

    def _ask_source(self, stream: Stream, now: float) -> None:
        source = self.sessions.get(stream.source or "") if stream.wishing else None
        if source is None:
            return
        for strand in stream.pictures:
            if strand.ingest is not None and strand.ingest.ssrc is not None and strand.wish.due(now):
                source.send_rtcp(source.receiver_head + rtcp.picture_loss(source.reporter, strand.ingest.ssrc))

    def feedback(self, session: Session, items: list[rtcp.Feedback]) -> None:
        """Take RTCP of a viewer or of a source."""
        now = moment.now()
        for item in items:
            session.line.heard(item, now)
        for item in items:
            match item:
                case rtcp.SenderInfo():
                    self._sender_report(session, item, now)
                case rtcp.Nack(ssrc, sequences):
                    for seat in self._seats_of(session, ssrc):
                        line = session.line
                        again = seat.leg.resend(sequences, line.rtt_s, now, lost=line.fraction_lost)
                        self._send([(seat.leg.owner, own, sent) for own, sent in again])
                case rtcp.KeyFrameAsked(ssrc):
                    for seat in self._seats_of(session, ssrc):
                        self._key_frame_asked(seat, now)
                case rtcp.ReceiverInfo() | rtcp.Estimate() | rtcp.Bye() | TransportFeedback():
                    continue

    def _seats_of(self, session: Session, ssrc: int) -> list[Seat]:
        return [seat for seat in session.seats.values() if seat.leg.plan.ssrc == ssrc]

    def _key_frame_asked(self, seat: Seat, now: float) -> None:
        stream = None if seat.strand is None else self.streams.get(seat.strand.stream)
        if seat.strand is not None and stream is not None:
            self._send(seat.strand.key_frame_asked(seat.leg, now))
            self._ask_source(stream, now)

    def _sender_report(self, session: Session, info: rtcp.SenderInfo, now: float) -> None:
        stream = self.streams.get(session.spec.stream)
        if stream is None or stream.source != session.spec.session:
            return
        for strand in stream.strands.values():
            for owner, report in strand.sender_report(info, now):
                viewer = self.sessions.get(owner)
                if viewer is not None:
                    viewer.line.reported(report, now)
                    viewer.send_rtcp(rtcp.sender_report(report) + rtcp.source_description(report.ssrc, CNAME))

    def drop(self, name: str) -> None:
        """Count a packet that goes no further."""
        self.dropped[name] += 1

    # -- datagrams -----------------------------------------------------------------------------------------------

    def receive(self, port: Way, data: bytes, source: Address, own: Session | None = None) -> None:
        """Take a datagram (RFC 7983): to the session that the address proved to be, or to the one STUN names."""
        first = data[0]
        if first < 4:
            self._stun(port, data, source, own)
            return
        session = self._by_address.get(source) if own is None else own
        if session is None or source not in session.addresses:
            self._stranger(data, source)
        elif 20 <= first <= 63:
            self._queue(session, data)
        elif 128 <= first <= 191 and len(data) >= rtp.HEADER:
            session.secured(data)
        else:
            self.drop("unknown_kind")

    def read(self, source: Address, heard: Heard) -> None:
        """Take media that the port has read already, of the session that the address proved to be."""
        session = self._by_address.get(source)
        if session is None:
            self.dropped["unknown_address"] += heard.total + len(heard.wrong)
        else:
            session.read(heard)

    def gone(self, address: Address) -> None:
        """Note that a peer's TCP connection has ended."""
        self._early.pop(address, None)
        session = self._by_address.get(address)
        if session is not None:
            session.gone(address)

    def _stranger(self, data: bytes, source: Address) -> None:
        kept = self._early.get(source)
        if not 20 <= data[0] <= 63:
            self.drop("unknown_address")
        elif kept is not None and len(kept[1]) < EARLY_EACH:
            kept[1].append(data)
        elif kept is None and len(self._early) < MAX_EARLY:
            self._early[source] = (moment.now(), [data])
        else:
            self.drop("unknown_address")

    def _stun(self, port: Way, data: bytes, source: Address, own: Session | None) -> None:
        try:
            message = stun.parse(data)
        except MalformedError:
            self.drop("malformed")
            return
        session = own or self._by_ufrag.get(message.user)
        if session is not None:
            session.stun(message, source, port, moment.now())
            return
        if message.kind != stun.REQUEST:
            self.drop("unknown_user")
            return
        for effect in refusal(message, source, 401):
            if isinstance(effect, Send):
                port.send(effect.data, effect.to)
        self.drop("unknown_user")

    def _queue(self, session: Session, data: bytes) -> None:
        if len(self._handshakes) >= MAX_HANDSHAKES:
            self.drop("handshake_queue_full")
            return
        if not self._handshakes:
            self._loop.call_soon(self._shake_hands)
        self._handshakes.append((session, data))

    def _shake_hands(self) -> None:
        until = time.perf_counter() + HANDSHAKE_SLICE_S
        while self._handshakes:
            session, data = self._handshakes.popleft()
            if session.spec.session in self.sessions:
                session.dtls(data)
            if time.perf_counter() > until:
                break
        if self._handshakes:
            self._loop.call_soon(self._shake_hands)

    # -- timers --------------------------------------------------------------------------------------------------

    def _pace(self) -> None:
        now = moment.now()
        self._pacing = False
        for stream in self.streams.values():
            if stream.catching:
                self._send(stream.catch_up(now))
            if stream.catching:
                self._start_pacing()

    def _late(self, late_s: float) -> None:
        """Note how late something began that was due; a lag is seen at once and fades within about a second."""
        self.loop_lag_s = max(self.loop_lag_s, late_s)

    def _tick(self) -> None:
        self.loop_lag_s *= LAG_FADES
        late_s = self._loop.time() - self._due_at
        self._late(late_s)
        self._steady_late_s = min(self._steady_late_s, late_s)
        now = moment.now()
        every_second = now >= self._second_at
        if every_second:
            self._second_at = now + SECOND_S
            self._early = {a: kept for a, kept in self._early.items() if now - kept[0] < EARLY_S}
        for session in list((self.sessions if every_second else self._young).values()):
            session.tick(now)
        telling = now >= self._told_at
        for stream in list(self.streams.values()):
            self._watch(stream, now, every_second=every_second)
            if telling or stream.restless or stream.unsettled:
                self._note(stream)
                self._ask_source(stream, now)
                self._forget_if_idle(stream)
        self.seating.go(now)
        if telling:
            self._told_at = now + TELL_EVERY_S
            self.seating.share(self.sessions.values(), self._steady_late_s, now)
            self._steady_late_s = math.inf
            for session in self.sessions.values():
                self.seating.tell(session, now)
        self._due_at = max(self._due_at + TICK_S, self._loop.time())
        self._ticker = self._loop.call_at(self._due_at, self._tick) if self.sessions else None

    def _watch(self, stream: Stream, now: float, *, every_second: bool) -> None:
        """Do what cannot wait 100 ms. With most streams there is nothing to do, and that must cost nothing."""
        source = self.sessions.get(stream.source or "")
        if source is not None and source.srtp is not None:
            if troubled := stream.troubled():
                self._ask_repairs(source, troubled, now)
                stream.restless = True
            source.answer_arrivals(now)
            if every_second:
                self._report(source, now)
        if stream.wishing:
            self._ask_source(stream, now)

    def _note(self, stream: Stream) -> None:
        now = moment.now()
        changed = stream.tick(now)
        if stream.unsettled:
            self.seating.settle(stream, now)
        first = stream.first_picture()
        if not changed and first is None:
            return
        source = self.sessions.get(stream.source or "")
        took = max(0.0, first - source.spec.opened_at) if source is not None and first is not None else None
        self._emit(Changed(stream.name, stream.state, took))
        self.changed.set()

    def _ask_repairs(self, source: Session, troubled: list[Strand], now: float) -> None:
        for strand in troubled:
            missing, fillers = strand.repairs(now)
            self._send(fillers)
            if missing and strand.ingest is not None and strand.ingest.ssrc is not None:
                source.send_rtcp(source.receiver_head + rtcp.nack(source.reporter, strand.ingest.ssrc, missing))

    def _report(self, source: Session, now: float) -> None:
        reports = tuple(r for ingest in source.ingests.values() if (r := ingest.report(now)) is not None)
        if not reports:
            return
        compound = rtcp.receiver_report(rtcp.ReceiverInfo(source.reporter, reports))
        compound += rtcp.source_description(source.reporter, CNAME)
        if source.arrivals is None:
            compound += rtcp.estimate(source.reporter, [report.ssrc for report in reports], RECEIVE_BITRATE)
        source.send_rtcp(compound)
