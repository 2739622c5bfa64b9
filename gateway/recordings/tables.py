"""Table of the recordings room: one row per recording, kept when its files are removed."""

from sqlalchemy import JSON, BigInteger, Column, Float, Integer, String, Table

from gateway.ports.store import METADATA, UtcTime

RECORDINGS = Table(
    "recordings",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("stream", String(80), nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("ending", String(12)),
    Column("reason", String(200), nullable=False),
    Column("started_by", String(64), nullable=False),
    Column("stopped_by", String(64)),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("limit_s", Float),
    Column("seconds", Float, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("lost", Integer, nullable=False),
    Column("files", JSON, nullable=False),
)
