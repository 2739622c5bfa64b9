"""Tables of rollcall, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0001"
down_revision = None
branch_labels = ("rollcall",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()
    _step_2()


def _step_1() -> None:
    op.create_table(
        "roll_calls",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_roll_calls_state"), "roll_calls", ["state"], unique=False)


def _step_2() -> None:
    op.create_table(
        "roll_call_points",
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("camera", sa.String(length=64), nullable=True),
        sa.Column("owner", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("rung_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("told", sa.String(length=16), nullable=True),
        sa.Column("first_frame_s", sa.Float(), nullable=True),
        sa.Column("frame_age_ms", sa.Integer(), nullable=True),
        sa.Column("still", sa.String(length=64), nullable=True),
        sa.Column("link", sa.String(length=16), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["roll_call_id"],
            ["roll_calls.id"],
        ),
        sa.PrimaryKeyConstraint("roll_call_id", "centre"),
    )
