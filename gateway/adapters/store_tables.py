"""The store's own tables: identity, outboxes with their history, and quarantine."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

meta = Table(
    "store_meta",
    METADATA,
    Column("key", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)
"""`epoch` (ULID of this database) and `origin_counter` (the next one of this gateway's own events)."""

outbox = Table(
    "outbox",
    METADATA,
    Column("peer", String(32), primary_key=True),
    Column("lane", String(16), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("void", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("owed_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("settled_at", UtcTime),
    sqlite_with_rowid=False,
)
"""Parcels owed to a peer; kept as history for a while after the receipt (`settled_at`), to be replayed."""

outbox_waiting = Index(
    "outbox_waiting", outbox.c.peer, outbox.c.lane, outbox.c.seq, sqlite_where=outbox.c.settled_at.is_(None)
)
outbox_history = Index("outbox_history", outbox.c.settled_at, sqlite_where=outbox.c.settled_at.is_not(None))
outbox_expiring = Index("outbox_expiring", outbox.c.expires_at, sqlite_where=outbox.c.expires_at.is_not(None))

lanes = Table(
    "outbox_lanes",
    METADATA,
    Column("peer", String(32), primary_key=True),
    Column("lane", String(16), primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("settled", Text, nullable=False),
)
"""Per lane the next hop seq, never reused even when the outbox is empty, and the ranges that were ever receipted."""

quarantine = Table(
    "quarantine",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("peer", String(32), nullable=False),
    Column("lane", String(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("code", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("refused_at", UtcTime, nullable=False),
    Column("resent", Boolean, nullable=False, default=False),
)
"""Records that the peer refused, with its code; they can be sent again and are never deleted silently."""
