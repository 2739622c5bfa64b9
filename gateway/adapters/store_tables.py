"""The store's own tables: identity, outboxes with their history, and quarantine."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Index, Integer, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

meta = Table(
    "store_meta",
    METADATA,
    Column("key", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)
"""`epoch` (ULID of this database), `origin_counter` (the next one of this gateway's own events), `file` (which database
this is) and, where replicas share it, `version`: it grows with every unit of work, and whoever locks it writes."""

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


def _partial(name: str, only: ColumnElement[bool], *columns: Column[Any]) -> Index:
    return Index(name, *columns, sqlite_where=only, postgresql_where=only)


outbox_waiting = _partial("outbox_waiting", outbox.c.settled_at.is_(None), outbox.c.peer, outbox.c.lane, outbox.c.seq)
outbox_history = _partial("outbox_history", outbox.c.settled_at.is_not(None), outbox.c.settled_at)
outbox_expiring = _partial("outbox_expiring", outbox.c.expires_at.is_not(None), outbox.c.expires_at)

lanes = Table(
    "outbox_lanes",
    METADATA,
    Column("peer", String(32), primary_key=True),
    Column("lane", String(16), primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("settled", Text, nullable=False),
    Column("waiting", BigInteger, nullable=False, server_default="0"),
    Column("version", BigInteger, nullable=False, server_default="0"),
)
"""Per lane the next hop seq, never reused even when the outbox is empty, and the ranges that were ever receipted.

`waiting` counts what has no receipt; `version` is that of the database when the row was written, so that a replica
reads again only what another one changed.
"""

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
