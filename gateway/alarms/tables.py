"""Tables of the alarms room."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.ports.store import METADATA, UtcTime

alarms = Table(
    "alarms",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("alarm_key", String(128), nullable=False),
    Column("centre", String(6), nullable=False),
    Column("severity", SmallInteger, nullable=False),
    # condition
    Column("condition", String(8), nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("applied", BigInteger, nullable=False),
    Column("first_raised_at", UtcTime, nullable=False),
    Column("last_observed_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("raises", Integer, nullable=False),
    Column("data", JSON, nullable=False),
    Column("drill", Boolean, nullable=False),
    # acknowledgement
    Column("ack_by", String(64)),
    Column("ack_at", UtcTime),
    Column("ack_centre", String(6)),
    Column("ack_upto", BigInteger),
    Column("ack_note", Text),
    Column("reopened_at", UtcTime),
    Column("escalated_at", UtcTime),
    Column("escalated", JSON),
    # visibility
    Column("visibility", String(16), nullable=False),
    Column("shelf_by", String(64)),
    Column("shelf_at", UtcTime),
    Column("shelf_until", UtcTime),
    Column("shelf_reason", Text),
    Column("shelf_severity", SmallInteger),
    Column("openings", JSON),
    Column("behind", String(32)),
    UniqueConstraint("source", "alarm_key", name="alarms_identity"),
)
"""One row per (source, alarm key): the state that `machine` made of its events."""

alarms_list = Index("alarms_list", alarms.c.condition, alarms.c.first_raised_at, alarms.c.id)
alarms_shelved = Index("alarms_shelved", alarms.c.shelf_until)
alarms_by_time = Index("alarms_by_time", alarms.c.first_raised_at, alarms.c.id)

log = Table(
    "alarm_log",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String(26), nullable=False),
    Column("source", String(32), nullable=False),
    Column("type", String(128), nullable=False),
    Column("alarm_source", String(32), nullable=False),
    Column("alarm_key", String(128), nullable=False),
    Column("origincounter", BigInteger, nullable=False),
    Column("condition", String(8)),
    Column("time", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("hops", JSON, nullable=False),
    Column("raises", Integer, nullable=False),
    UniqueConstraint("source", "event_id", name="alarm_log_identity"),
)
"""Every alarm event once, in order of arrival, whether or not it changed a state."""

acknowledgements = Table(
    "alarm_acknowledgements",
    METADATA,
    Column("event_id", String(26), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("alarm_key", String(128), nullable=False),
    Column("by", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("centre", String(6), nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
"""Every acknowledgement: it may arrive before the raise that it belongs to."""

acknowledgements_of = Index("alarm_acknowledgements_of", acknowledgements.c.source, acknowledgements.c.alarm_key)

words = Table(
    "alarm_words",
    METADATA,
    Column("event_id", String(26), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("alarm_key", String(128), nullable=False),
    Column("type", String(128), nullable=False),
    Column("data", JSON, nullable=False),
)
"""Every escalation and reopening: it may arrive before the raise that it belongs to."""

words_of = Index("alarm_words_of", words.c.source, words.c.alarm_key)

cap_messages = Table(
    "cap_messages",
    METADATA,
    Column("sender", String(256), primary_key=True),
    Column("identifier", String(256), primary_key=True),
    Column("root", String(256), nullable=False),
    Column("sent", UtcTime, nullable=False),
    Column("centres", JSON, nullable=False),
    Column("event_ids", JSON, nullable=False),
)
"""CAP messages taken so far: an update or cancel finds its alarm by the root of the chain, a repeat finds itself."""

cap_roots = Index("cap_roots", cap_messages.c.sender, cap_messages.c.root, cap_messages.c.sent)
