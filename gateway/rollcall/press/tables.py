"""Tables of reviewing and publishing. A bulletin's row is written once; what a unit says stands in its receipt."""

from sqlalchemy import JSON, Boolean, Column, Integer, String, Table, Text, UniqueConstraint

from gateway.ports.store import METADATA, UtcTime

REVIEWS = Table(
    "roll_call_reviews",
    METADATA,
    Column("roll_call_id", String(26), primary_key=True),
    Column("reviewed_by", String(64), nullable=False),
    Column("reviewed_at", UtcTime, nullable=False),
    Column("objections_until", UtcTime, nullable=False),
    Column("note", Text, nullable=False),
    Column("waived_by", String(64)),
    Column("waived_why", Text),
    Column("archived_by", String(64)),
    Column("archived_why", Text),
)
OBJECTIONS = Table(
    "roll_call_objections",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("roll_call_id", String(26), nullable=False, index=True),
    Column("centre", String(6), nullable=False),
    Column("by", String(64), nullable=False),
    Column("noted_by", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("state", String(12), nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", UtcTime),
    Column("answer", Text),
)
"""`noted_by` is empty where the unit itself sent it. `state`: open, upheld, rejected."""
BULLETINS = Table(
    "roll_call_bulletins",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("roll_call_id", String(26), nullable=False, index=True),
    Column("year", Integer, nullable=False),
    Column("issue", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("number", String(64), nullable=False),
    Column("published_at", UtcTime, nullable=False),
    Column("published_by", String(64), nullable=False),
    Column("content", JSON, nullable=False),
    Column("lines", JSON, nullable=False),
    Column("seal", String(64), nullable=False),
    Column("drill", Boolean, nullable=False),
    UniqueConstraint("year", "issue", "version", name="roll_call_bulletins_number"),
)
"""`lines` are the cells of every unit's line as they were sealed, by centre."""
RECEIPTS = Table(
    "roll_call_receipts",
    METADATA,
    Column("bulletin_id", String(26), primary_key=True),
    Column("centre", String(6), primary_key=True),
    Column("way", String(8), nullable=False),
    Column("sent_at", UtcTime),
    Column("stored_at", UtcTime),
    Column("signed_by", String(64)),
    Column("signed_at", UtcTime),
    Column("feedback", Text, nullable=False),
)
"""`way`: link, or phone where no gateway stands at the unit and its signature is noted here."""
RECEIVED = Table(
    "bulletins_received",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("roll_call_id", String(26), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("number", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("published_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("content", JSON, nullable=False),
    Column("line", JSON, nullable=False),
    Column("seal", String(64), nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("signed_by", String(64)),
    Column("signed_at", UtcTime),
    Column("feedback", Text, nullable=False),
)
"""Bulletins of the tiers above, as they came."""
RESULTS = Table(
    "roll_call_results",
    METADATA,
    Column("roll_call_id", String(26), primary_key=True),
    Column("origin", String(32), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("data", JSON, nullable=False),
    Column("objection_id", String(26)),
    Column("objected_by", String(64)),
    Column("objected_at", UtcTime),
    Column("reason", Text),
)
"""How this centre stands in roll calls of the tiers above, before they are published."""
