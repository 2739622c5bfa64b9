"""Tables of the orders room: own orders from their first draft, and those that came from above."""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from gateway.ports.store import METADATA, UtcTime

order_rows = Table(
    "orders",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("own", Boolean, nullable=False),
    Column("issuer", String(6), nullable=False),
    Column("issuer_name", String(64), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("drill", Boolean, nullable=False),
    Column("year", Integer),
    Column("sequence", Integer),
    Column("number", String(64), nullable=False),
    Column("type", String(16), nullable=False),
    Column("urgency", String(16), nullable=False),
    Column("title", String(120), nullable=False),
    Column("content", Text, nullable=False),
    Column("related", JSON, nullable=False),
    Column("papers", JSON, nullable=False),
    Column("units", JSON, nullable=False),
    Column("authors", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("signed_by", String(64)),
    Column("signed_at", UtcTime),
    Column("sent_by", String(64)),
    Column("sent_at", UtcTime),
    Column("ack_within_s", Integer, nullable=False),
    Column("feedback_within_s", Integer),
    Column("document", Text, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("public_key", String(64), nullable=False),
    Column("flags", JSON, nullable=False),
    Column("revoked_by", String(64)),
    Column("revoked_at", UtcTime),
    Column("revoked_why", Text, nullable=False),
    Column("closed_by", String(64)),
    Column("closed_at", UtcTime),
    UniqueConstraint("year", "sequence", name="orders_number"),
)
"""One order; `own` False: received. `document` is what was signed and never changes. Received ones have no sequence."""

order_lines = Table(
    "order_lines",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("order_id", String(26), nullable=False),
    Column("unit", String(6), nullable=False),
    Column("carrier", String(6)),
    Column("state", String(16), nullable=False),
    Column("delivered_at", UtcTime),
    Column("refused_why", Text, nullable=False),
    Column("acknowledged_by", String(64)),
    Column("acknowledged_at", UtcTime),
    Column("acknowledged_way", String(16)),
    Column("reported_at", UtcTime),
    Column("done_at", UtcTime),
    Column("withdrawn_at", UtcTime),
    Column("overdue_at", UtcTime),
    Column("told", JSON, nullable=False),
    UniqueConstraint("order_id", "unit", name="order_lines_unit"),
)
"""An order at one unit. `carrier` is the gateway that answers for it, None: told by telephone from here."""

order_entries = Table(
    "order_entries",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("order_id", String(26), nullable=False),
    Column("unit", String(6), nullable=False),
    Column("deed", String(16), nullable=False),
    Column("by", String(64), nullable=False),
    Column("way", String(16), nullable=False),
    Column("noted_by", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("stored_at", UtcTime, nullable=False),
)
"""What was said of an order at a unit; rows are never changed."""

entries_order = Index("order_entries_order", order_entries.c.order_id, order_entries.c.at)

order_chases = Table(
    "order_chases",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("order_id", String(26), nullable=False, index=True),
    Column("unit", String(6), nullable=False),
    Column("by", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("text", Text, nullable=False),
)
"""Chases of a unit (督办)."""

order_log = Table(
    "order_log",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("order_id", String(26), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("what", String(32), nullable=False),
    Column("by", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)
"""What this gateway and its people did to an order, in order."""

order_keys = Table(
    "order_keys",
    METADATA,
    Column("issuer", String(6), primary_key=True),
    Column("public_key", String(64), nullable=False),
    Column("first_seen_at", UtcTime, nullable=False),
)
"""The first signing key seen of each issuer above: another one later is never believed silently."""
