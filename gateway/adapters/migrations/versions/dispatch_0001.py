"""Tables of dispatch, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "dispatch_0001"
down_revision = None
branch_labels = ("dispatch",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()


def _step_1() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("direction", sa.String(length=4), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("caller_centre", sa.String(length=6), nullable=False),
        sa.Column("caller_user", sa.String(length=64), nullable=False),
        sa.Column("caller_stream", sa.String(length=80), nullable=False),
        sa.Column("callee_centre", sa.String(length=6), nullable=False),
        sa.Column("callee_node", sa.String(length=32), nullable=True),
        sa.Column("callee_stream", sa.String(length=80), nullable=True),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_calls_state"), "calls", ["state"], unique=False)
