"""The catalogue of the agent's metrics, and their reading at each scrape.

`silian_box_*` is what a box says of itself; `silian_agent_*` and `silian_link_*` is what its gateway knows of it, so
that a Prometheus that reads both never counts a thing twice. Base units, bounded labels: a centre's code, a camera's
name, a reason out of a closed set. Values are read from what the parts count anyway; nothing is measured twice.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

PREFIX = "silian_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric without the prefix; a counter's name ends in `_total`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def counter(self) -> bool:
        """Whether it only rises."""
        return self.name.endswith("_total")


CATALOGUE: tuple[Metric, ...] = (
    Metric("build_info", "Version of this agent; always 1", ("version", "python")),
    Metric("box_link_up", "1 while the gateway above answers", ("centre", "node", "plane")),
    Metric("box_link_rtt_seconds", "Last round trip of a heartbeat", ("centre", "node")),
    Metric("box_link_reconnects_total", "Links that went down, by reason", ("centre", "reason")),
    Metric("box_link_events_total", "What the link's lower end counted, by name", ("centre", "event")),
    Metric("box_spool_messages", "Records not yet receipted", ("centre", "node")),
    Metric("box_spool_lane_messages", "Records not yet receipted, by lane", ("centre", "node", "lane")),
    Metric("box_spool_oldest_timestamp_seconds", "Origin time of the oldest of them", ("centre", "node")),
    Metric("box_spool_bytes", "Size of the spool", ("centre", "node")),
    Metric("box_spool_quarantined", "Records that the gateway refused", ("centre", "node")),
    Metric("box_spool_events_total", "What the spool counted, by name", ("centre", "event")),
    Metric("box_clock_steps_total", "Steps of the wall clock over 2 s", ("centre", "node")),
    Metric("box_disk_free_bytes", "Free space under the state directory", ("centre", "node")),
    Metric("box_cpu_ratio", "Load of the machine", ("centre", "node")),
    Metric("box_memory_ratio", "Memory in use on the machine", ("centre", "node")),
    Metric("box_temperature_celsius", "Temperature of the machine", ("centre", "node")),
    Metric("box_resident_memory_bytes", "Memory held by the agent", ("centre", "node")),
    Metric("box_alarms_taken_total", "Alarms on disk", ("centre",)),
    Metric("box_alarms_refused_total", "Alarms refused at the sensor's border", ("centre", "reason")),
    Metric("box_commands_total", "Commands answered", ("centre", "command")),
    Metric("box_ring_events_total", "Rings, answers and what was missed, by name", ("centre", "event")),
    Metric("box_diary_events_total", "Records of outages kept, queued or lost, by name", ("centre", "event")),
    Metric("box_answer_page_sign_ins_total", "PINs entered at the answer page, by outcome", ("centre", "outcome")),
    Metric("box_publish_events_total", "Publishing sessions begun and ended, by reason", ("centre", "event")),
    Metric(
        "box_snapshots_total",
        "Single pictures in place of a stream whose path is down, by outcome",
        ("centre", "outcome"),
    ),
    Metric("box_camera_restarts_total", "Times that a camera was opened anew", ("centre", "camera")),
    Metric("box_sound_restarts_total", "Times that a sound source was opened anew", ("centre", "camera")),
    Metric("box_camera_picture", "1 for the present verdict of the camera", ("centre", "camera", "verdict")),
    Metric("box_media_frame_age_seconds", "Age of the newest frame", ("centre", "camera")),
    Metric("box_media_keyframe_requests_total", "Key frames asked for", ("centre", "camera")),
    Metric("box_media_encoded_frames_total", "Pictures coded here, by layer", ("centre", "camera", "layer")),
    Metric("box_media_target_bytes_per_second", "Rate asked of the encoder", ("centre", "camera", "layer")),
    Metric("box_media_sent_bytes_per_second", "Rate sent to the gateway, before headers", ("centre", "camera")),
    Metric("box_media_rtt_seconds", "Round trip of the newest report on sent pictures", ("centre", "camera")),
    Metric("box_media_line_thin", "1 while the line carries less than the camera sends", ("centre", "camera")),
    Metric("box_media_frames_dropped_total", "Coded frames dropped because a session was slow", ("centre", "camera")),
    Metric("box_certificate_expiry_timestamp_seconds", "End of the certificate's life", ("node", "role")),
    Metric("box_task_restarts_total", "Supervised tasks restarted after a crash"),
)
NAMES = {metric.name: metric for metric in CATALOGUE}
Reading = tuple[str, tuple[str, ...], float | None]
"""Name, label values in the catalogue's order, value; None leaves the series out."""


class AgentCollector:
    """Gives Prometheus what `read` yields; a name outside the catalogue is a KeyError."""

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def describe(self) -> "Iterable[Family]":
        """Return nothing: families are known only when read."""
        return ()

    def collect(self) -> "Iterator[Family]":
        """Read everything once."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families: dict[str, Family] = {}
        for name, labels, value in self._read():
            if value is None:
                continue
            metric = NAMES[name]
            if name not in families:
                made = CounterMetricFamily if metric.counter else GaugeMetricFamily
                families[name] = made(PREFIX + name, metric.help, labels=metric.labels)
            families[name].add_metric(labels, value)  # type: ignore[attr-defined]  # both kinds have it
        yield from families.values()


def render(read: Callable[[], Iterable[Reading]]) -> tuple[bytes, str]:
    """Return the exposition text and its content type."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.process_collector import ProcessCollector

    registry = CollectorRegistry(auto_describe=False)
    registry.register(AgentCollector(read))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
