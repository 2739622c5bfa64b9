"""Tables of the warning room."""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

warning_rows = Table(
    "warnings",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("origin", String(16), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("drill", Boolean, nullable=False),
    Column("identifier", String(256), nullable=False),
    Column("sender", String(256), nullable=False),
    Column("unit", String(256), nullable=False),
    Column("root", String(256), nullable=False),
    Column("replaces", String(26)),
    Column("colour", SmallInteger, nullable=False),
    Column("event_code", String(32), nullable=False),
    Column("event", String(128), nullable=False),
    Column("headline", Text, nullable=False),
    Column("content", JSON, nullable=False),
    Column("flags", JSON, nullable=False),
    Column("centres", JSON, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("expires", UtcTime),
    Column("authors", JSON, nullable=False),
    Column("reviewed_by", String(64)),
    Column("signed_by", String(64)),
    Column("dispatched_at", UtcTime),
    Column("document", LargeBinary, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("public_key", String(64), nullable=False),
)
"""Every warning: own ones from their first draft, received ones as they came."""

warnings_chain = Index("warnings_chain", warning_rows.c.sender, warning_rows.c.root)

lines = Table(
    "warning_lines",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("warning_id", String(26), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("what", String(32), nullable=False),
    Column("by", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)
"""What happened to a warning, in order."""

runs = Table(
    "warning_runs",
    METADATA,
    Column("warning_id", String(26), primary_key=True),
    Column("phase", String(16), nullable=False),
    Column("offered_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("started_by", String(64), nullable=False),
    Column("ended_at", UtcTime),
    Column("ended_by", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("within_s", Integer, nullable=False),
    Column("list_version", Integer, nullable=False),
)
"""One call-and-confirm per warning: offered, running, done."""

calls = Table(
    "warning_calls",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("warning_id", String(26), nullable=False, index=True),
    Column("target", String(64), nullable=False),
    Column("position", Integer, nullable=False),
    Column("chain", JSON, nullable=False),
    Column("neighbour", JSON),
    Column("persons", Integer, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("due_at", UtcTime),
    Column("confirmed_by", String(64)),
    Column("confirmed_at", UtcTime),
    Column("way", String(16)),
    Column("noted_by", String(64), nullable=False),
    Column("note", Text, nullable=False),
)
"""The calling of one post, as `rules.calling.Call` has it, with the persons it was begun with."""

call_lists = Table(
    "warning_call_lists",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("by", String(64), nullable=False),
    Column("content", JSON, nullable=False),
)
"""Every version of whom to reach; the newest is in force, none is ever changed."""

keys = Table(
    "warning_keys",
    METADATA,
    Column("node", String(32), primary_key=True),
    Column("public_key", String(64), nullable=False),
    Column("first_seen_at", UtcTime, nullable=False),
)
"""The first signing key seen of each gateway below: another one later is never believed silently."""
