"""Tables of the registry room."""

from sqlalchemy import JSON, BigInteger, Column, String, Table

from gateway.ports.store import METADATA, UtcTime

catalogues = Table(
    "catalogues",
    METADATA,
    Column("node", String(32), primary_key=True),
    Column("counter", BigInteger, nullable=False),
    Column("version", String(64), nullable=False),
    Column("cameras", JSON, nullable=False),
    Column("sender", String(32), nullable=False),
    Column("received_at", UtcTime, nullable=False),
)
"""The newest catalogue of each node of the subtree, by origin counter, and the direct child it came through."""

link_states = Table(
    "link_states",
    METADATA,
    Column("node", String(32), primary_key=True),
    Column("reported_by", String(32), nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("status", String(8), nullable=False),
    Column("reason", String(16)),
    Column("since", UtcTime, nullable=False),
    Column("version", String(64), nullable=False),
    Column("hop", String(32), nullable=False),
)
"""The state of every link of the subtree, and the direct child that lies on the way to the node."""
