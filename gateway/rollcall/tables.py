"""Tables of the roll-call room. A point's row is written at every step, so a restart goes on where it was."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

ROLL_CALLS = Table(
    "roll_calls",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("started_by", String(64), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("drill", Boolean, nullable=False, default=False),
    Column("mode", String(16)),
    Column("profile", String(32)),
    Column("profile_version", Integer),
    Column("rules", JSON),
    Column("planned_at", UtcTime),
    Column("schedule_id", String(26)),
    Column("draw", JSON),
    Column("trigger", JSON),
    Column("upper_id", String(26)),
    Column("upper_node", String(32)),
    Column("makeup_of", String(26)),
    Column("why", Text),
    Column("stage", String(6)),
    Column("upcoming", String(6)),
    Column("seat", String(64)),
    Column("seat_at", UtcTime),
    Column("holds", JSON),
    Column("ordered", JSON),
    Column("root_centre", String(6)),
)
PLANNED_ONCE = Index("roll_calls_planned", ROLL_CALLS.c.schedule_id, ROLL_CALLS.c.planned_at, unique=True)
OF_UPPER = Index("roll_calls_upper", ROLL_CALLS.c.upper_id)
POINTS = Table(
    "roll_call_points",
    METADATA,
    Column("roll_call_id", String(26), ForeignKey("roll_calls.id"), primary_key=True),
    Column("centre", String(6), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("name", String(64), nullable=False),
    Column("camera", String(64)),
    Column("owner", String(32)),
    Column("state", String(24), nullable=False),
    Column("reason", String(16)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("rung_at", UtcTime),
    Column("answered_at", UtcTime),
    Column("answered_by", String(64)),
    Column("told", String(16)),
    Column("first_frame_s", Float),
    Column("frame_age_ms", Integer),
    Column("still", String(64)),
    Column("link", String(16), nullable=False, default="up"),
    Column("settled_at", UtcTime),
    Column("note", Text, nullable=False, default=""),
    Column("cause", String(16)),
    Column("checks", JSON),
    Column("score", Float),
    Column("revision", Integer),
    Column("decided_by", String(64)),
    Column("why", Text),
    Column("makeup_at", UtcTime),
    Column("first_state", String(24)),
    Column("late", Boolean),
    Column("delegate", String(32)),
    Column("heard", Integer),
    Column("challenge", String(8)),
    Column("challenge_at", UtcTime),
    Column("answer", JSON),
    Column("precheck", JSON),
    Column("roster", JSON),
    Column("holds", JSON),
    Column("ring_at", UtcTime),
)
PROFILES = Table(
    "roll_call_profiles",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("by", String(64), nullable=False),
    Column("rules", JSON, nullable=False),
)
"""Every version of every profile; the newest of a name is in force, none is ever changed."""
REVISIONS = Table(
    "roll_call_revisions",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("roll_call_id", String(26), nullable=False),
    Column("centre", String(6), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("by", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
)
"""Changes of a verdict that stood: appended, never overwritten."""
REVISIONS_OF = Index("roll_call_revisions_of", REVISIONS.c.roll_call_id, REVISIONS.c.centre)
SCHEDULES = Table(
    "roll_call_schedules",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("by", String(64), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("plan", JSON, nullable=False),
)
"""Calls that come again (`rules.schedule.Plan`)."""
INSPECTIONS = Table(
    "roll_call_inspections",
    METADATA,
    Column("roll_call_id", String(26), primary_key=True),
    Column("by_centre", String(6), nullable=False),
    Column("centres", JSON, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
)
"""Roll calls of the tiers above that reach counties of this subtree (上级正在抽查)."""
OFFERS = Table(
    "roll_call_offers",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("reason", JSON, nullable=False),
    Column("centres", JSON, nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("ended_at", UtcTime),
    Column("ended_by", String(64)),
)
"""Calls that an alarm or a warning gives reason for (`rules.trigger.Offer`), and who took or declined them."""
EVIDENCE = Table(
    "roll_call_evidence",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("roll_call_id", String(26), nullable=False),
    Column("centre", String(6), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("media_type", String(64), nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("note", String(200), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""Links of the chain of evidence (`rules.chain`); triggers of the migration refuse UPDATE and DELETE."""
EVIDENCE_OF = Index("roll_call_evidence_of", EVIDENCE.c.roll_call_id, EVIDENCE.c.centre)
EVIDENCE_AGE = Index("roll_call_evidence_age", EVIDENCE.c.at)
NODE_RECORDS = Table(
    "roll_call_node_records",
    METADATA,
    Column("event_id", String(26), primary_key=True),
    Column("node", String(32), nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("record", JSON, nullable=False),
    Column("weighed_at", UtcTime),
)
"""What nodes observed while they were cut off (`protocols.diary`); `weighed_at`: its verdicts were looked at again."""
NODE_RECORDS_OF = Index("roll_call_node_records_of", NODE_RECORDS.c.node, NODE_RECORDS.c.began_at)
PRINTS = Table(
    "roll_call_prints",
    METADATA,
    Column("stream", String(80), primary_key=True),
    Column("exact", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
)
"""Pictures with visible grain, by their exact pixels, and when each was seen first (`rules.recall`)."""
