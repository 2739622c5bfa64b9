"""Tables of the enrolment room."""

from sqlalchemy import Column, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

TOKENS = Table(
    "enrolment_tokens",
    METADATA,
    Column("secret_hash", String(64), primary_key=True),
    Column("node", String(32), nullable=False, index=True),
    Column("created_by", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("key_hash", String(64)),
    Column("certificate", Text),
)
"""One-time tokens, by the hash of their secret. A used one remembers its key, so that a lost answer can be repeated."""

CERTIFICATES = Table(
    "certificates",
    METADATA,
    Column("serial", String(40), primary_key=True),
    Column("node", String(32), nullable=False, index=True),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("renewed_from", String(40)),
)
"""Every certificate that was issued to a node."""
