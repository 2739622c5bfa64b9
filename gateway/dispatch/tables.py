"""Tables of the dispatch room: one row per call, kept for the record, and one for each that passes through here now."""

from sqlalchemy import Boolean, Column, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

CALLS = Table(
    "calls",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("direction", String(4), nullable=False),
    Column("state", String(12), nullable=False, index=True),
    Column("reason", String(16)),
    Column("caller_centre", String(6), nullable=False),
    Column("caller_user", String(64), nullable=False),
    Column("caller_stream", String(80), nullable=False),
    Column("callee_centre", String(6), nullable=False),
    Column("callee_node", String(32)),
    Column("callee_stream", String(80)),
    Column("answered_by", String(64)),
    Column("started_at", UtcTime, nullable=False),
    Column("answered_at", UtcTime),
    Column("ended_at", UtcTime),
)
PASSING = Table(
    "passing_calls",
    METADATA,
    Column("call_id", String(26), primary_key=True),
    Column("target", String(32), nullable=False),
    Column("stream", String(80), nullable=False),
    Column("centre", String(6), nullable=False),
    Column("by_centre", String(6), nullable=False),
    Column("whep_url", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("ring_until", UtcTime, nullable=False),
    Column("answered", Boolean, nullable=False),
)
"""Calls that pass through this gateway on their way down; a row ends with its call."""
