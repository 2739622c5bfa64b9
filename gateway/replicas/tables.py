"""Tables of the replicas room."""

from sqlalchemy import BigInteger, Column, String, Table

from gateway.ports.store import METADATA, UtcTime

LEASES = Table(
    "replica_leases",
    METADATA,
    Column("resource", String(64), primary_key=True),
    Column("holder", String(26), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until", UtcTime, nullable=False),
)
"""Who holds what (`gateway.replicas.machine`); a row stays when its lease has run out, so that tokens only grow."""

REPLICAS = Table(
    "replicas",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("name", String(32), nullable=False),
    Column("url", String(255), nullable=False),
    Column("version", String(32), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
)
"""Processes of this gateway, by the ULID of the process; one that is not seen after `until` is dead."""
