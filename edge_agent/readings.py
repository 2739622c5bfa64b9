"""What the agent's parts count, as readings of the metrics catalogue."""

import platform
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_agent.box import own_rss_bytes
from edge_agent.metrics import Reading
from protocols.ids import stream_of

if TYPE_CHECKING:
    from edge_agent.app import Agent
    from protocols.aio.spool import SpoolFigures


def readings(agent: "Agent", figures: "SpoolFigures") -> Iterator[Reading]:
    """Yield all readings; runs in the loop."""
    from edge_agent.app import version

    yield "build_info", (version(), platform.python_version()), 1.0
    yield "box_task_restarts_total", (), float(agent.tasks.counters["restarted"])
    yield from _link(agent)
    yield from _spool(agent, figures)
    yield from _box(agent)
    yield from _counted(agent)
    yield from _cameras(agent)
    yield from _sessions(agent)


def _link(agent: "Agent") -> Iterator[Reading]:
    centre, uplink = agent.settings.centre, agent.link.uplink
    yield "box_link_up", (centre, agent.node, "control"), float(agent.link.up)
    if uplink is None:
        return
    yield "box_link_rtt_seconds", (centre, agent.node), uplink.rtt_s
    for event, count in uplink.counters.items():
        yield "box_link_events_total", (centre, event), float(count)
    for name, count in agent.link.counters.items():
        if name.startswith("down_"):
            yield "box_link_reconnects_total", (centre, name.removeprefix("down_")), float(count)
        else:
            yield "box_link_events_total", (centre, name), float(count)


def _spool(agent: "Agent", figures: "SpoolFigures") -> Iterator[Reading]:
    centre, node = agent.settings.centre, agent.node
    yield "box_spool_messages", (centre, node), float(sum(figures.depth.values()))
    for lane, count in figures.depth.items():
        yield "box_spool_lane_messages", (centre, node, lane), float(count)
    oldest = figures.oldest_at
    yield "box_spool_oldest_timestamp_seconds", (centre, node), oldest.timestamp() if oldest else None
    yield "box_spool_bytes", (centre, node), float(figures.used_bytes)
    yield "box_spool_quarantined", (centre, node), float(figures.quarantined)
    for event, count in agent.spool.counters.items():
        yield "box_spool_events_total", (centre, event), float(count)


def _box(agent: "Agent") -> Iterator[Reading]:
    names, box = (agent.settings.centre, agent.node), agent.box
    yield "box_clock_steps_total", names, float(agent.clock_watch.steps)
    yield "box_disk_free_bytes", names, box.disk_free_bytes
    yield "box_cpu_ratio", names, box.cpu_ratio
    yield "box_memory_ratio", names, box.memory_ratio
    yield "box_temperature_celsius", names, box.temperature_celsius
    yield "box_resident_memory_bytes", names, float(own_rss_bytes())


def _counted(agent: "Agent") -> Iterator[Reading]:
    centre = agent.settings.centre
    for name, count in agent.intake.counters.items():
        if name == "taken":
            yield "box_alarms_taken_total", (centre,), float(count)
        else:
            yield "box_alarms_refused_total", (centre, name.removeprefix("refused_")), float(count)
    for name, count in agent.orders.counters.items():
        yield "box_commands_total", (centre, name), float(count)
    for name, count in agent.desk.turns.counters.items():
        yield "box_ring_events_total", (centre, name), float(count)
    for name, count in agent.diary.counters.items():
        yield "box_diary_events_total", (centre, name), float(count)
    if agent.door is not None:
        for name, count in agent.door.counters.items():
            yield "box_answer_page_sign_ins_total", (centre, name), float(count)
    for name, count in agent.publisher.counters.items():
        yield "box_publish_events_total", (centre, name), float(count)
    for name, count in agent.snapshots.counters.items():
        yield "box_snapshots_total", (centre, name), float(count)
    yield "box_certificate_expiry_timestamp_seconds", (agent.node, "agent"), agent.certificate_ends


def _cameras(agent: "Agent") -> Iterator[Reading]:
    centre, now, wall = agent.settings.centre, time.monotonic(), agent.clock.now()
    for camera in agent.cameras.values():
        health = camera.health(now, wall)
        age = health.frame_age_ms
        yield "box_camera_picture", (centre, camera.name, health.verdict), 1.0
        yield "box_media_frame_age_seconds", (centre, camera.name), None if age is None else age / 1000
        yield "box_camera_restarts_total", (centre, camera.name), float(camera.restarts)
        yield "box_media_keyframe_requests_total", (centre, camera.name), float(camera.feed.key_requests)
        yield "box_media_frames_dropped_total", (centre, camera.name), float(camera.feed.lost)
        sound = agent.sounds.get(stream_of(centre, camera.name))
        if sound is not None:
            yield "box_sound_restarts_total", (centre, camera.name), float(sound.restarts)
        for layer, pictures in camera.encoded().items():
            yield "box_media_encoded_frames_total", (centre, camera.name, layer), float(pictures)


def _sessions(agent: "Agent") -> Iterator[Reading]:
    centre = agent.settings.centre
    for camera, session in agent.publisher.sessions():
        yield "box_media_sent_bytes_per_second", (centre, camera), session.sent_kbps * 125
        yield "box_media_rtt_seconds", (centre, camera), session.round_trip_s
        yield "box_media_line_thin", (centre, camera), float(session.thin)
        for layer, kbps in session.targets.items():
            yield "box_media_target_bytes_per_second", (centre, camera, layer), kbps * 125.0
