"""Tables of the reports room. A signed version is never updated but for its sending; clocks are never deleted."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.ports.store import METADATA, UtcTime

reports = Table(
    "reports",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("serial", String(64), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("own", Boolean, nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("drill", Boolean, nullable=False),
    Column("alarm_id", String(26)),
    Column("based_on", String(26), index=True),
    Column("known_at", UtcTime, nullable=False),
    Column("watch_until", UtcTime, nullable=False),
    Column("opened_by", String(64), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("profile", String(32), nullable=False),
)
"""One incident; `own` False: received from below. `based_on` is the received report that this one passes on (转报)."""

versions = Table(
    "report_versions",
    METADATA,
    Column("report_id", String(26), ForeignKey("reports.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("corrects", Integer),
    Column("content", JSON, nullable=False),
    Column("changed", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("confirmed", SmallInteger),
    Column("possible", SmallInteger),
    Column("known_at", UtcTime, nullable=False),
    Column("author", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("signed_by", String(64)),
    Column("signed_at", UtcTime),
    Column("sent_at", UtcTime),
)
"""Versions; a draft is one without `signed_at`."""

deliveries = Table(
    "report_deliveries",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("report_id", String(26), ForeignKey("reports.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("to", String(16), nullable=False),
    Column("way", String(8), nullable=False),
    Column("sent_at", UtcTime, nullable=False),
    Column("delivered_at", UtcTime),
    Column("receiver", String(64)),
    Column("acknowledged_at", UtcTime),
    Column("acknowledged_by", String(64)),
    Column("returned_at", UtcTime),
    Column("returned_by", String(64)),
    Column("reason", Text, nullable=False),
)
"""Each version to each addressee, by link or by telephone; without `delivered_at` it is not delivered (未送达)."""

clocks = Table(
    "report_clocks",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("report_id", String(26), ForeignKey("reports.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("rule", String(64), nullable=False),
    Column("to", String(16), nullable=False),
    Column("form", String(16), nullable=False),
    Column("grade", SmallInteger, nullable=False),
    Column("possible", Boolean, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("article", Text, nullable=False),
    Column("told", SmallInteger, nullable=False),
    Column("next_at", UtcTime),
    Column("late_at", UtcTime),
    Column("stopped_at", UtcTime),
    Column("stopped_by", Integer),
    UniqueConstraint("report_id", "rule", "grade", "since", name="report_clocks_identity"),
)
"""Obligations. `told` is the last reminder in percent, `late_at` when the gateway found one overdue."""

clocks_next = Index("report_clocks_next", clocks.c.next_at)

log = Table(
    "report_log",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("report_id", String(26), ForeignKey("reports.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("what", String(32), nullable=False),
    Column("by", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)
"""What happened to a report, in order."""
