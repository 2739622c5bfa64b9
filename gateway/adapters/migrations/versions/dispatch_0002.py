"""Tables of dispatch, revision 2: calls that pass through on their way down."""

import sqlalchemy as sa
from alembic import op

revision = "dispatch_0002"
down_revision = "dispatch_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.create_table(
        "passing_calls",
        sa.Column("call_id", sa.String(length=26), nullable=False),
        sa.Column("target", sa.String(length=32), nullable=False),
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("by_centre", sa.String(length=6), nullable=False),
        sa.Column("whep_url", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("ring_until", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("call_id"),
    )
