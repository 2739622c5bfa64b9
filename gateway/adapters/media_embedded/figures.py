"""The worker's figures, read from the hub when somebody asks; nothing is summed up while packets pass."""

from collections import Counter
from collections.abc import Iterable

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.hub import Hub
from gateway.adapters.media_embedded.rules.cadence import Cadence
from gateway.adapters.media_embedded.rules.forward import Stream
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.socket_port import SocketPort
from gateway.adapters.media_embedded.tcp_port import TcpPort
from gateway.adapters.media_embedded.wire import Figures
from gateway.ports.media import Layer, SessionKind, SessionStats, StreamStats


def figures_of(hub: Hub, ports: Iterable[SocketPort], tcp: tuple[str, Iterable[TcpPort]] = ("off", ())) -> Figures:
    """Return all figures as they stand now."""
    now = moment.now()
    dropped = Counter(hub.dropped)
    for port in ports:
        dropped.update(
            {
                "unsent": port.unsent,
                "send_buffer_full": port.full,
                "refused_by_peer": port.refused,
                "socket_overflow": port.overflowed(),
            }
        )
    for connections in tcp[1]:
        dropped.update(connections.dropped)
    for stream in hub.streams.values():
        for ingest in stream.ingests.values():
            dropped.update(ingest.counters.dropped)
        dropped.update(stream.totals.dropped)
        dropped.update({"gop_overflow": sum(strand.gop.overflows for strand in stream.pictures)})
    for session in hub.sessions.values():
        for leg in session.legs:
            dropped.update(leg.dropped)
    dropped.update(hub.seating.sharing.shed)
    kinds = Counter(session.spec.kind.value for session in hub.sessions.values())
    streams = tuple(_stream(hub, stream, now) for stream in hub.streams.values())
    counted = {name: count for name, count in dropped.items() if count}
    modes = {**hub.modes, "tcp": tcp[0]}
    lines = tuple(_line(session, now) for session in hub.sessions.values())
    return Figures(streams, dict(kinds), counted, round(hub.loop_lag_s * 1000, 1), modes, lines)


def _line(session: Session, now: float) -> SessionStats:
    line = session.line
    return SessionStats(
        session_id=session.spec.session,
        kind=session.spec.kind,
        stream=session.spec.stream,
        sent_bps=line.sent.bps,
        received_bps=line.received.bps,
        estimate_bps=line.estimate(now),
        rtt_ms=None if line.rtt_s is None else round(line.rtt_s * 1000, 1),
        fraction_lost=None if line.fraction_lost is None else round(line.fraction_lost, 4),
        profile=session.profile,
        transport="tcp" if isinstance(session.port, TcpPort) else "udp",
    )


def _stream(hub: Hub, stream: Stream, now: float) -> StreamStats:
    ingests = stream.ingests.values()
    seats = [
        seat for seat in stream.seats if seat.strand is stream.strands[seat.strand.name if seat.strand else "main"]
    ]
    sent = [seat.sent() for seat in seats]
    owners = {seat.leg.owner for seat in seats}
    kinds = Counter(hub.sessions[owner].spec.kind for owner in owners if owner in hub.sessions)
    video = stream.best(now).ingest
    audio = stream.ingests.get("audio")
    cadence = Cadence() if video is None else video.cadence
    main = video or audio
    at = main.counters.frame_at if main is not None else None
    totals = stream.totals
    return StreamStats(
        stream=stream.name,
        state=stream.state,
        codec=main.codec.name.partition("/")[0] if main is not None and main.codec is not None else None,
        viewers=kinds[SessionKind.WHEP] + kinds[SessionKind.WALL],
        relays=kinds[SessionKind.RELAY],
        packets_in=totals.packets_in + sum(i.counters.packets for i in ingests),
        bytes_in=totals.octets_in + sum(i.counters.octets for i in ingests),
        packets_out=sum(one.packets_out for one in stream.strands.values()) + sum(packets for packets, _ in sent),
        bytes_out=sum(one.octets_out for one in stream.strands.values()) + sum(octets for _, octets in sent),
        lost=totals.lost + sum(i.counters.lost for i in ingests),
        frames=totals.frames + cadence.frames,
        key_frames=totals.key_frames + cadence.key_frames,
        frame_age_ms=None if at is None else max(0, round((now - at) * 1000)),
        key_frame_interval_s=cadence.key_interval_s,
        frame_rate=cadence.rate(now),
        audio=audio is not None and audio.last_at is not None,
        freezes=totals.freezes + cadence.freezes,
        freeze_s=round(totals.freeze_s + cadence.freeze_s, 3),
        layers=tuple(Layer(strand.name) for strand in stream.pictures if strand.live(now)),
        audio_level=None if audio is None else audio.meter.level(now),
    )
