"""Tables of store, revision 2: what replicas on one database must know of each other."""

import sqlalchemy as sa
from alembic import op

from gateway.adapters.migrations.months import on_postgresql

revision = "store_0002"
down_revision = "store_0001"
branch_labels = None
depends_on = None
PARTIAL = {
    "outbox_expiring": ("expires_at", "expires_at IS NOT NULL"),
    "outbox_history": ("settled_at", "settled_at IS NOT NULL"),
    "outbox_waiting": ("peer, lane, seq", "settled_at IS NULL"),
}


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.add_column("outbox_lanes", sa.Column("waiting", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("outbox_lanes", sa.Column("version", sa.BigInteger(), nullable=False, server_default="0"))
    if on_postgresql():
        op.execute("INSERT INTO store_meta (key, value) VALUES ('version', '0')")
        for index, (columns, only) in PARTIAL.items():
            op.execute(f"DROP INDEX {index}")
            op.execute(f"CREATE INDEX {index} ON outbox ({columns}) WHERE {only}")
