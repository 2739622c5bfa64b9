"""Tables of the users room."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Integer, String, Table

from gateway.ports.store import METADATA, UtcTime

USERS = Table(
    "users",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("display_name", String(64), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("password_hash", String(256), nullable=False),
    Column("must_change_password", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("password_changed_at", UtcTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", UtcTime),
)
"""One row per account; names are never used again for another person."""

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("user", String(32), ForeignKey("users.name"), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
)
"""Logins that stand. A revoked or ended login has no row: that is what revokes its token."""
