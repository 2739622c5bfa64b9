"""Table of the audit room. Its migration adds triggers that refuse UPDATE and DELETE."""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from gateway.ports.store import METADATA, UtcTime

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(128), nullable=False),
    Column("target", String(512), nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("address", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""One row per deed; `seq` counts from 1 without holes, `previous` is the hash of the row before."""
