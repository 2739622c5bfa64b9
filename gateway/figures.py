"""Where the metrics that are read at each scrape come from.

Counts that only the database or the media engine knows are refreshed every few seconds by a task: a scrape never waits
for either.
"""

import logging
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select

from gateway.alarms.tables import alarms
from gateway.metrics import LiveSample, Metrics
from gateway.ports.broker import Broker
from gateway.ports.media import EngineStats, MediaEngine, SessionStats, StreamStats, WorkerStats
from gateway.ports.store import Store
from gateway.registry.service import Link, Registry
from protocols.aio.clock import Clock
from protocols.errors import SilianError
from protocols.health import BoxHealth, LinkStatus, Verdict
from protocols.ids import split_stream

logger = logging.getLogger(__name__)
REFRESH_S = 5.0
Samples = list[LiveSample]


@dataclass(slots=True)
class Parts:
    """What the figures are read from."""

    metrics: Metrics
    registry: Registry
    store: Store
    broker: Broker
    engine: MediaEngine
    clock: Clock
    version: str


@dataclass(slots=True)
class Figures:
    """The newest refreshed counts."""

    parts: Parts
    active: Samples = field(default_factory=list)
    unacknowledged: Samples = field(default_factory=list)
    oldest: Samples = field(default_factory=list)
    quarantined: Samples = field(default_factory=list)
    media: EngineStats | None = None

    async def run(self) -> None:
        """Refresh for ever; run it as a supervised task."""
        while True:
            await self._refresh_store()
            try:
                self.media = await self.parts.engine.stats()
            except SilianError as error:
                self.media = None
                logger.debug("no media figures", extra={"error": str(error)})
            await self.parts.clock.sleep(REFRESH_S)

    async def _refresh_store(self) -> None:
        waits = alarms.c.ack_at.is_(None)
        counts = select(
            alarms.c.severity,
            func.count().label("active"),
            func.count().filter(waits).label("unacknowledged"),
            func.min(alarms.c.first_raised_at).filter(waits).label("oldest"),
        )
        counts = counts.where(alarms.c.condition == "active").group_by(alarms.c.severity)
        async with self.parts.store.reading() as reader:
            rows = (await reader.execute(counts)).all()
        self.quarantined = [((peer,), rows) for peer, rows in (await self.parts.store.quarantined()).items()]
        self.active = [((str(row.severity),), row.active) for row in rows]
        self.unacknowledged = [((str(row.severity),), row.unacknowledged) for row in rows]
        self.oldest = [((str(row.severity),), row.oldest.timestamp()) for row in rows if row.oldest is not None]


def install_figures(parts: Parts) -> Figures:
    """Register all sources; run the returned figures' `run` as a task."""
    figures = Figures(parts)
    _install_links(parts)
    _install_inside(parts)
    _install_media(parts, figures)
    _install_pictures(parts, figures)
    live = parts.metrics.live
    live("alarms_active", lambda: figures.active)
    live("alarms_unacknowledged", lambda: figures.unacknowledged)
    live("alarm_oldest_unacknowledged_timestamp_seconds", lambda: figures.oldest)
    live("quarantine_records", lambda: figures.quarantined)
    live("outbox_records", lambda: [((peer, lane.value), n) for (peer, lane), n in parts.store.waiting().items()])
    return figures


def _install_links(parts: Parts) -> None:
    live, registry = parts.metrics.live, parts.registry

    def per_link(value: Callable[[Link], float | None], *more: str) -> Callable[[], Iterable[LiveSample]]:
        def read() -> Samples:
            found = ((link, value(link)) for link in registry.links())
            return [((link.centre, link.node, *more), number) for link, number in found if number is not None]

        return read

    def per_box(value: Callable[[BoxHealth], float | None]) -> Callable[[], Iterable[LiveSample]]:
        return per_link(lambda link: None if link.box is None else value(link.box))

    live("centre_info", lambda: _centres(parts))
    live("link_up", per_link(lambda link: float(link.status is LinkStatus.UP), "control"))
    live("link_rtt_seconds", per_link(lambda link: None if link.rtt_ms is None else link.rtt_ms / 1000))
    live(
        "link_session_start_timestamp_seconds",
        per_link(lambda link: link.since.timestamp() if link.status is LinkStatus.UP else None),
    )
    seen = per_link(lambda link: link.last_heartbeat_at.timestamp() if link.last_heartbeat_at else None)
    live("centre_last_seen_timestamp_seconds", seen)
    live("centre_clock_offset_seconds", per_link(lambda link: registry.clock_offset(link.node)))
    live("agent_spool_messages", per_box(lambda box: box.spool_records))
    live(
        "agent_spool_oldest_timestamp_seconds",
        per_box(lambda box: box.spool_oldest_at.timestamp() if box.spool_oldest_at else None),
    )
    live("agent_disk_free_bytes", per_box(lambda box: box.disk_free_bytes))
    live("agent_cpu_ratio", per_box(lambda box: box.cpu_ratio))
    live("agent_memory_ratio", per_box(lambda box: box.memory_ratio))
    live("agent_temperature_celsius", per_box(lambda box: box.temperature_celsius))
    live("camera_picture", lambda: _pictures(registry))


def _centres(parts: Parts) -> Samples:
    found = parts.registry.centres()
    return [((c.code, c.tier.value, c.parent or "", c.name, parts.version), 1.0) for c in found]


def _pictures(registry: Registry) -> Samples:
    return [
        ((camera.centre, camera.name, verdict.value), float(camera.picture.verdict is verdict))
        for camera in registry.cameras()
        if camera.picture is not None
        for verdict in Verdict
    ]


def _install_inside(parts: Parts) -> None:
    live, broker = parts.metrics.live, parts.broker
    live("build_info", lambda: [((parts.version, platform.python_version()), 1.0)])
    live("broker_up", lambda: [((), float(broker.health.up))])
    live("broker_production", lambda: [((), float(broker.health.production))])
    live("broker_restarts_total", lambda: [((), float(broker.health.restarts))])
    live("db_size_bytes", lambda: [((), float(parts.store.size()))])
    live("db_up", lambda: [((), float(parts.store.health.up))])
    live("db_losses_total", lambda: [((), float(parts.store.health.losses))])


def _install_media(parts: Parts, figures: Figures) -> None:
    live = parts.metrics.live

    def per_centre(value: Callable[[StreamStats], float]) -> Callable[[], Iterable[LiveSample]]:
        def read() -> Samples:
            sums: dict[str, float] = {}
            for stream in figures.media.streams if figures.media else ():
                centre = split_stream(stream.stream)[0]
                sums[centre] = sums.get(centre, 0.0) + value(stream)
            return [((centre,), total) for centre, total in sorted(sums.items())]

        return read

    live("media_streams", lambda: _by_state(figures))
    live("media_legs", lambda: [((kind,), n) for kind, n in _sessions(figures).items()])
    live("media_line_lowest_estimate_bytes_per_second", lambda: _lines(figures, _estimate, min))
    live("media_line_slowest_rtt_seconds", lambda: _lines(figures, _rtt_s, max))
    live("media_line_highest_loss_ratio", lambda: _lines(figures, lambda one: one.fraction_lost, max))
    live("media_received_bytes_total", per_centre(lambda one: one.bytes_in))
    live("media_sent_bytes_total", per_centre(lambda one: one.bytes_out))
    live("media_rtp_packets_received_total", per_centre(lambda one: one.packets_in))
    live("media_rtp_packets_sent_total", per_centre(lambda one: one.packets_out))
    live("media_rtp_packets_lost_total", per_centre(lambda one: one.lost))
    live("media_frames_received_total", per_centre(lambda one: one.frames))
    live("media_key_frames_received_total", per_centre(lambda one: one.key_frames))
    live("media_packets_dropped_total", lambda: [((why,), n) for why, n in _dropped(figures).items()])
    live("media_worker_restarts_total", lambda: _single(figures, lambda media: media.worker_restarts))
    live("media_worker_loop_lag_seconds", lambda: _single(figures, lambda media: media.loop_lag_ms / 1000))
    live("media_worker_up", lambda: _each(figures, lambda worker: worker.up))
    live("media_worker_sessions", lambda: _each(figures, lambda worker: worker.sessions))
    live("media_worker_bridges", lambda: _each(figures, lambda worker: worker.bridges))


def _install_pictures(parts: Parts, figures: Figures) -> None:
    live = parts.metrics.live

    def per_camera(value: Callable[[StreamStats], float | None]) -> Callable[[], Iterable[LiveSample]]:
        def read() -> Samples:
            known = {camera.stream for camera in parts.registry.cameras()}
            streams = figures.media.streams if figures.media else ()
            found = ((split_stream(one.stream), value(one)) for one in streams if one.stream in known)
            return [(name, number) for name, number in found if number is not None]

        return read

    live("media_frame_rate", per_camera(lambda one: one.frame_rate))
    live(
        "media_frame_age_seconds",
        per_camera(lambda one: None if one.frame_age_ms is None else one.frame_age_ms / 1000),
    )
    live("media_key_frame_interval_seconds", per_camera(lambda one: one.key_frame_interval_s))
    live("media_freezes_total", per_camera(lambda one: one.freezes))
    live("media_freeze_seconds_total", per_camera(lambda one: one.freeze_s))


def _single(figures: Figures, value: Callable[[EngineStats], float]) -> Samples:
    return [] if figures.media is None else [((), value(figures.media))]


def _each(figures: Figures, value: Callable[[WorkerStats], float]) -> Samples:
    return [((worker.worker,), float(value(worker))) for worker in (figures.media.workers if figures.media else ())]


def _rtt_s(line: SessionStats) -> float | None:
    return None if line.rtt_ms is None else line.rtt_ms / 1000


def _lines(
    figures: Figures, value: Callable[[SessionStats], float | None], worst: Callable[[Iterable[float]], float]
) -> Samples:
    """Return the worst line of each kind of session; a kind of which nothing was heard is left out."""
    found: dict[str, list[float]] = {}
    for line in figures.media.lines if figures.media else ():
        number = value(line)
        if number is not None:
            found.setdefault(line.kind.value, []).append(number)
    return [((kind,), worst(numbers)) for kind, numbers in sorted(found.items())]


def _estimate(line: SessionStats) -> float | None:
    return None if line.estimate_bps is None else line.estimate_bps / 8


def _sessions(figures: Figures) -> dict[str, int]:
    return figures.media.sessions if figures.media else {}


def _dropped(figures: Figures) -> dict[str, int]:
    return figures.media.dropped if figures.media else {}


def _by_state(figures: Figures) -> Samples:
    counts: dict[tuple[str, str], int] = {}
    for stream in figures.media.streams if figures.media else ():
        key = (split_stream(stream.stream)[0], stream.state.value)
        counts[key] = counts.get(key, 0) + 1
    return [(key, n) for key, n in sorted(counts.items())]
