"""Tables of the duty room. Days are only added to: each change is a new version that names the hash before it."""

from sqlalchemy import JSON, BigInteger, Column, Date, Integer, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

PEOPLE = Table(
    "duty_people",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("name", String(32), nullable=False),
    Column("post", String(64), nullable=False),
    Column("role", String(12), nullable=False),
    Column("phones", JSON, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_until", Date),
    Column("account", String(64)),
)
PLAN = Table(
    "duty_plan",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("plan", JSON, nullable=False),
    Column("by", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
)
DAYS = Table(
    "duty_days",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("content", JSON, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("by", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("note", Text, nullable=False),
)
SWAPS = Table(
    "duty_swaps",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("day", Date, nullable=False),
    Column("shift", String(16), nullable=False),
    Column("out_person", String(26), nullable=False),
    Column("in_person", String(26), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(12), nullable=False, index=True),
    Column("asked_by", String(64), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", UtcTime),
    Column("version", Integer),
)
HANDOVERS = Table(
    "duty_handovers",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("given_by", String(64), nullable=False),
    Column("taken_by", String(64), nullable=False),
    Column("at", UtcTime, nullable=False, index=True),
    Column("items", JSON, nullable=False),
    Column("remarks", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)
PRESENCE = Table(
    "duty_presence",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("person", String(26), nullable=False, index=True),
    Column("day", Date, nullable=False),
    Column("shift", String(16), nullable=False),
    Column("in_at", UtcTime, nullable=False),
    Column("out_at", UtcTime),
    Column("by", String(64), nullable=False),
)
CURRENT = Table(
    "duty_current",
    METADATA,
    Column("centre", String(6), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("origincounter", BigInteger, nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
)
GAPS = Table(
    "duty_gaps",
    METADATA,
    Column("key", String(128), primary_key=True),
    Column("alarm", JSON, nullable=False),
)
