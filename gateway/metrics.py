"""The catalogue of the gateway's metrics: every name, label and bucket stands here and nowhere else.

Base units, bounded labels: a centre's code, a tier, a reason out of an enum; never an id, an address or a person's
text. What a table or an engine already counts is read from it at each scrape (`live`), so that a centre that left
vanishes; what happens in passing is counted (`count`, `observe`). All methods belong to the event loop; only `render`
may run in a thread.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

PREFIX = "silian_"
logger = logging.getLogger(__name__)
LiveSample = tuple[tuple[str, ...], float]
LiveSource = Callable[[], Iterable[LiveSample]]


class Kind(StrEnum):
    """Prometheus type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric without the prefix; a counter's name ends in `_total`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_G, _C, _H = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_DELIVERY = (0.1, 0.25, 0.5, 1.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)  # an edge at each objective
_ACK = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0)
_LAG = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

LINK = (
    Metric(
        "centre_info", _G, "Centres of the subtree; always 1", ("centre", "tier", "parent", "centre_name", "version")
    ),
    Metric("link_up", _G, "1 while the link of the node is up", ("centre", "node", "plane")),
    Metric("link_rtt_seconds", _G, "Last round trip of a heartbeat", ("centre", "node")),
    Metric("link_reconnects_total", _C, "Links that went down, by reason", ("centre", "reason")),
    Metric(
        "link_session_start_timestamp_seconds", _G, "When the present session of the link began", ("centre", "node")
    ),
    Metric("centre_last_seen_timestamp_seconds", _G, "Last sign of life", ("centre", "node")),
    Metric("centre_clock_offset_seconds", _G, "Clock of the node minus clock of the gateway", ("centre", "node")),
    Metric("link_records_received_total", _C, "Records stored on first arrival", ("centre", "lane")),
    Metric("link_records_duplicate_total", _C, "Records that had been stored before", ("centre",)),
    Metric("link_records_refused_total", _C, "Records refused to their sender", ("centre", "code")),
    Metric("link_gaps_total", _C, "Named gaps: records that no sender holds any more", ("centre",)),
    Metric("link_messages_dropped_total", _C, "Messages outside the protocol, by reason", ("reason",)),
    Metric("outbox_records", _G, "Records owed to a peer and not yet receipted", ("peer", "lane")),
    Metric("quarantine_records", _G, "Records that a peer refused", ("peer",)),
    Metric("agent_spool_messages", _G, "Records in the node's own spool", ("centre", "node")),
    Metric("agent_spool_oldest_timestamp_seconds", _G, "Oldest record in the node's spool", ("centre", "node")),
    Metric("agent_disk_free_bytes", _G, "Free space under the node's state directory", ("centre", "node")),
    Metric("agent_cpu_ratio", _G, "Load of the node's machine", ("centre", "node")),
    Metric("agent_memory_ratio", _G, "Memory in use on the node's machine", ("centre", "node")),
    Metric("agent_temperature_celsius", _G, "Temperature of the node's machine", ("centre", "node")),
    Metric("certificate_expiry_timestamp_seconds", _G, "End of a certificate's life", ("node", "role")),
)
MEDIA = (
    Metric("media_streams", _G, "Streams by state", ("centre", "state")),
    Metric("media_legs", _G, "Peer connections by kind", ("kind",)),
    Metric("media_line_lowest_estimate_bytes_per_second", _G, "What the thinnest line seems to carry", ("kind",)),
    Metric("media_line_slowest_rtt_seconds", _G, "Longest round trip of a media line", ("kind",)),
    Metric("media_line_highest_loss_ratio", _G, "Worst loss that a far end reports", ("kind",)),
    Metric("media_received_bytes_total", _C, "Media received", ("centre",)),
    Metric("media_sent_bytes_total", _C, "Media sent", ("centre",)),
    Metric("media_rtp_packets_received_total", _C, "RTP packets received", ("centre",)),
    Metric("media_rtp_packets_sent_total", _C, "RTP packets sent", ("centre",)),
    Metric("media_rtp_packets_lost_total", _C, "RTP packets missing on arrival", ("centre",)),
    Metric("media_frames_received_total", _C, "Frames received", ("centre",)),
    Metric("media_key_frames_received_total", _C, "Key frames received", ("centre",)),
    Metric("media_frame_rate", _G, "Frames per second, by camera of the centre", ("centre", "camera")),
    Metric("media_frame_age_seconds", _G, "Age of the newest frame", ("centre", "camera")),
    Metric("media_key_frame_interval_seconds", _G, "Distance of the last two key frames", ("centre", "camera")),
    Metric(
        "media_freezes_total", _C, "Pauses of the picture on arrival, as webrtc-stats counts them", ("centre", "camera")
    ),
    Metric("media_freeze_seconds_total", _C, "Seconds of those pauses", ("centre", "camera")),
    Metric("recordings_running", _G, "Recordings that run"),
    Metric("recording_bytes", _G, "What all recordings take on the disk"),
    Metric("recording_quota_bytes", _G, "What recordings may take"),
    Metric("recordings_refused_total", _C, "Recordings refused, by reason", ("reason",)),
    Metric("recordings_ended_total", _C, "Recordings that ended, by reason", ("reason",)),
    Metric("media_packets_dropped_total", _C, "Packets that the worker dropped, by reason", ("reason",)),
    Metric("media_worker_restarts_total", _C, "Media workers replaced after their death"),
    Metric("media_worker_loop_lag_seconds", _G, "Lag of the slowest worker's loop"),
    Metric("media_worker_up", _G, "Whether a media worker lives", ("worker",)),
    Metric("media_worker_sessions", _G, "Peer connections at a media worker", ("worker",)),
    Metric("media_worker_bridges", _G, "Streams that a media worker sends to others of this gateway", ("worker",)),
    Metric("media_time_to_first_frame_seconds", _H, "Publisher's offer to its first key frame", (), _SHORT),
    Metric("media_requests_total", _C, "Streams asked of the next hop, by outcome", ("outcome",)),
    Metric("media_hop_seconds", _H, "From asking the next hop for a stream to each stage of it", ("stage",), _SHORT),
    Metric("media_dials_total", _C, "Sessions made with other gateways, by outcome", ("kind", "outcome")),
    Metric("media_session_failures_total", _C, "Sessions that ended in a fault", ("reason",)),
    Metric("media_snapshots_total", _C, "Stills posted in place of streams, by outcome or error code", ("outcome",)),
    Metric("media_snapshot_streams", _G, "Streams in whose place a posted still is shown"),
    Metric("camera_picture", _G, "1 for the present verdict of the camera", ("centre", "camera", "verdict")),
)
ALARMS = (
    Metric("alarms_received_total", _C, "Alarm events stored", ("centre", "severity")),
    Metric("alarms_duplicates_total", _C, "Alarm events that had been stored before"),
    Metric("alarms_late_total", _C, "Older events that came late and changed nothing"),
    Metric("alarms_active", _G, "Alarms whose condition stands", ("severity",)),
    Metric("alarms_unacknowledged", _G, "Alarms that nobody has acknowledged", ("severity",)),
    Metric("alarm_oldest_unacknowledged_timestamp_seconds", _G, "Oldest alarm that waits for a person", ("severity",)),
    Metric("cap_messages_total", _C, "Public warnings offered, by what became of them", ("outcome",)),
    Metric("warning_feed_polls_total", _C, "Looks at a feed of warnings, by outcome", ("feed", "outcome")),
    Metric("warning_feed_entries_total", _C, "New entries of a feed, by what became of them", ("feed", "outcome")),
    Metric("warning_feed_last_success_timestamp_seconds", _G, "Last good look at a feed", ("feed",)),
    Metric("warning_feed_updated_timestamp_seconds", _G, "The feed's own time", ("feed",)),
    Metric("alarm_delivery_duration_seconds", _H, "Origin to this gateway's commit", ("severity",), _DELIVERY),
)
PEOPLE = (
    Metric("escalation_overdue_timers", _G, "Timers that nobody acted on, and chains without a timer; must be 0"),
    Metric("escalation_notices_total", _C, "Messages by channel and what became of them", ("channel", "outcome")),
    Metric("escalation_handed_up_total", _C, "Alarms handed to the tier above", ("severity",)),
    Metric("warnings", _G, "Public warnings by state", ("state",)),
    Metric("warnings_dispatched_total", _C, "Own warnings dispatched", ("kind", "drill")),
    Metric("call_confirm_ratio", _G, "Part of the posts called last that answered"),
    Metric("call_confirm_seconds", _H, "Call to answer of one post", (), (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)),
    Metric("call_confirm_links_refused_total", _C, "Confirmations by links that are not valid or came too late"),
    Metric("orders", _G, "Orders of the last 30 days by state, own and received", ("direction", "state")),
    Metric("order_overdue", _G, "Units past the time for signing for an order, and still silent"),
    Metric("orders_sent_total", _C, "Own orders sent", ("urgency", "drill")),
    Metric("orders_refused_total", _C, "Orders from above that were not believed, by reason", ("reason",)),
    Metric("order_keys_changed_total", _C, "Orders signed with another key than the issuer's first"),
    Metric("order_answers_foreign_total", _C, "Words on an order from a gateway that does not answer for the unit"),
    Metric("order_units_by_phone_total", _C, "Units without a gateway that are told of an order by telephone"),
    Metric("order_reminders_total", _C, "Reminders of orders that nobody signed for or reported on", ("step",)),
    Metric("order_ack_seconds", _H, "Sending of an order to its signing at one unit", ("urgency",), _ACK),
    Metric("rollcall_sessions_total", _C, "Roll calls ended, by outcome", ("outcome",)),
    Metric("rollcall_participants", _G, "Points of the current or last roll call", ("state",)),
    Metric("rollcall_duration_seconds", _H, "Ring to result", (), (1.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0)),
    Metric("rollcall_answer_duration_seconds", _H, "Ring to first decoded picture", (), _DELIVERY),
    Metric("rollcall_causes_revised_total", _C, "Causes revised by a county's own record", ("cause",)),
    Metric("rollcall_evidence_total", _C, "Evidence stored or deleted, by kind", ("kind",)),
    Metric("rollcall_evidence_lost_total", _C, "Evidence that could not be kept, by reason", ("reason",)),
    Metric("rollcall_centre_result", _G, "1 present, 0 absent, last roll call", ("centre",)),
    Metric("bulletins_published_total", _C, "Roll-call bulletins published"),
    Metric(
        "bulletin_units_by_phone_total", _C, "Units without a gateway that a result or bulletin could not be sent to"
    ),
    Metric("rollcall_due", _G, "Points that count in the current or last roll call"),
    Metric("rollcall_present_ratio", _G, "Share of them that is there"),
    Metric("rollcall_first_connect_ratio", _G, "Share of them that was there without a make-up"),
    Metric("rollcall_connect_seconds", _H, "First ring to the county's answer", (), _DELIVERY),
    Metric("rollcall_fail_total", _C, "Points missing at the end, by cause", ("cause",)),
    Metric("rollcall_evidence_failed_total", _C, "Steps of the gathering of evidence that failed", ("step",)),
    Metric("av_defect_total", _C, "Defects of picture and sound found in roll calls", ("kind",)),
    Metric("dispatch_calls", _G, "Calls by state", ("state",)),
    Metric("dispatch_calls_total", _C, "Calls ended, by reason", ("reason",)),
    Metric("reports", _G, "Incident reports by state", ("state",)),
    Metric("report_clocks_overdue", _G, "Reporting clocks past their time without a delivery"),
    Metric("duty_people", _G, "People on duty now, by the roster", ("centre",)),
    Metric("duty_gaps", _G, "Shifts of this centre that lack people, now or soon"),
    Metric("login_failures_total", _C, "Refused logins", ("reason",)),
    Metric("sessions", _G, "Logins that have not ended"),
    Metric("audit_records_total", _C, "Audit records written"),
    Metric("audit_failures_total", _C, "Audit records that could not be written"),
    Metric("event_stream_subscribers", _G, "Open event streams"),
    Metric("event_stream_resyncs_total", _C, "Subscribers that lagged and had to read anew"),
)
INSIDE = (
    Metric("build_info", _G, "Version of this gateway; always 1", ("version", "python")),
    Metric("event_loop_lag_seconds", _H, "How late a timer of the event loop fired", (), _LAG),
    Metric("clock_steps_total", _C, "Steps of the wall clock over 2 s"),
    Metric("tasks", _G, "Tasks of the event loop"),
    Metric("task_restarts_total", _C, "Supervised tasks restarted after a crash", ("task",)),
    Metric("http_request_duration_seconds", _H, "Requests", ("route", "method", "code_class"), _SHORT),
    Metric("http_requests_refused_total", _C, "Requests refused before their route", ("reason",)),
    Metric("broker_restarts_total", _C, "Broker processes replaced after their death"),
    Metric("broker_up", _G, "1 while the broker accepts connections"),
    Metric("broker_production", _G, "0 while the embedded broker carries the links"),
    Metric("bus_up", _G, "1 while the bus between the replicas is reached"),
    Metric("bus_waiting", _G, "Announcements that wait for the bus"),
    Metric("bus_given_up_total", _C, "Announcements that never went out; the others read anew"),
    Metric("bus_missed_total", _C, "Announcements of other replicas that were not heard; the state was read anew"),
    Metric("bus_unknown_total", _C, "Announcements that this version does not understand"),
    Metric(
        "media_replica_streams", _G, "Streams that come in at a replica, as told at the one that leads", ("replica",)
    ),
    Metric("floor_speaker_changes_total", _C, "How often somebody else began to speak, in all conversations"),
    Metric("floor_muted", _G, "Voices that are muted for everybody here"),
    Metric("media_crossings", _G, "Streams brought from the replica where they live to another one"),
    Metric("media_streams_moved_total", _C, "Streams that had to be placed anew because their replica was lost"),
    Metric("replica_leads", _G, "1 at the replica of this gateway that leads"),
    Metric("replica_branches", _G, "Nodes whose branches this replica consumes"),
    Metric("replicas_alive", _G, "Replicas of this gateway that live, as this one sees it"),
    Metric("replica_fenced_total", _C, "Writes refused because another replica holds the lease now"),
    Metric("enrolments_total", _C, "Enrolments, by outcome", ("outcome",)),
    Metric("db_size_bytes", _G, "Size of the database"),
    Metric("db_up", _G, "1 while the database is reached"),
    Metric("db_losses_total", _C, "How often the database went away"),
    Metric("scrape_render_duration_seconds", _G, "Time the last scrape took to render"),
)
CATALOGUE: tuple[Metric, ...] = LINK + MEDIA + ALARMS + PEOPLE + INSIDE
"""All of them; `dashboards/` is checked against this."""
NAMES: Mapping[str, Metric] = {metric.name: metric for metric in CATALOGUE}


class Metrics:
    """The metrics of one process, passed as an argument. An unknown name or label is a KeyError or ValueError."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
        from prometheus_client.platform_collector import PlatformCollector
        from prometheus_client.process_collector import ProcessCollector

        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
        self.registry: CollectorRegistry = CollectorRegistry(auto_describe=False)
        self._counters: dict[str, Any] = {}
        self._children: dict[tuple[Any, ...], Any] = {}
        self._histograms: dict[str, Any] = {}
        self._live: dict[str, list[LiveSource]] = {}
        self._snapshot: list[Family] = []
        self._made = {_C: Counter, _H: Histogram}
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        """Add to a counter."""
        found = self._counters.get(name) or self._make(name, _C, self._counters)
        (self._child(found, labels) if labels else found).inc(by)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Put a value into a histogram."""
        found = self._histograms.get(name) or self._make(name, _H, self._histograms)
        (self._child(found, labels) if labels else found).observe(value)

    def observe_all(self, name: str, values: Iterable[float], /, **labels: str) -> None:
        """Put several values with the same labels into a histogram: its place is looked up once."""
        found = self._histograms.get(name) or self._make(name, _H, self._histograms)
        child = self._child(found, labels) if labels else found
        for value in values:
            child.observe(value)

    def _child(self, metric: Any, labels: dict[str, str]) -> Any:
        """Return the metric with these labels; the library looks them up under a lock, each time anew."""
        key = (id(metric), *labels.items())
        if (found := self._children.get(key)) is None:
            found = self._children[key] = metric.labels(**labels)
        return found

    def live(self, name: str, source: LiveSource) -> None:
        """Read a gauge or counter from `source` at each scrape: pairs of label values (catalogue order) and value."""
        metric = NAMES[name]
        if metric.kind is _H:
            raise ValueError(f"{name} is a histogram: observe it")
        if name in self._counters:
            raise ValueError(f"{name} is counted already")
        self._live.setdefault(name, []).append(source)

    def _make(self, name: str, kind: Kind, kept: dict[str, Any]) -> Any:
        metric = NAMES[name]
        if metric.kind is not kind or name in self._live:
            raise ValueError(f"{name} is a {metric.kind}, or read live")
        more: dict[str, Any] = {"buckets": metric.buckets} if kind is _H else {}
        made = self._made[kind](PREFIX + name, metric.help, metric.labels, registry=self.registry, **more)
        kept[name] = made
        return made

    def take_snapshot(self) -> None:
        """Read all live sources; call it in the event loop just before `render`. A failing source is only logged."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families: list[Family] = []
        for name, sources in self._live.items():
            metric = NAMES[name]
            made = CounterMetricFamily if metric.kind is _C else GaugeMetricFamily
            family = made(PREFIX + name, metric.help, labels=metric.labels)
            for source in sources:
                try:
                    for labels, value in source():
                        family.add_metric(labels, value)
                except Exception:
                    logger.exception("metric source failed", extra={"metric": name})
            families.append(family)
        self._snapshot = families

    def collect(self) -> Iterable["Family"]:
        """Return the families of the last snapshot; called by the registry."""
        return iter(self._snapshot)

    def render(self) -> bytes:
        """Render all in the text format; safe in a thread, where it belongs (tens of milliseconds at scale)."""
        from prometheus_client import generate_latest

        began = perf_counter()
        text: bytes = generate_latest(self.registry)
        name = PREFIX + "scrape_render_duration_seconds"
        line = f"# HELP {name} {NAMES['scrape_render_duration_seconds'].help}\n# TYPE {name} gauge\n"
        return text + f"{line}{name} {perf_counter() - began:.6f}\n".encode()
