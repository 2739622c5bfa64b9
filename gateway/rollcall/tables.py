"""Tables of the roll-call room. A point's row is written at every step, so a restart goes on where it was."""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, String, Table, Text

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
)
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
)
