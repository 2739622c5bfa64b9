"""Table of recordings, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "recordings_0001"
down_revision = None
branch_labels = ("recordings",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()


def _step_1() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("ending", sa.String(length=12), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("stopped_by", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("limit_s", sa.Float(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_recordings_state"), "recordings", ["state"], unique=False)
