"""Tables of press, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "press_0001"
down_revision = None
branch_labels = ("press",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()
    _step_2()
    _step_3()
    _step_4()
    _step_5()
    _step_6()


def _step_1() -> None:
    op.create_table(
        "bulletins_received",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("line", sa.JSON(), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("signed_by", sa.String(length=64), nullable=True),
        sa.Column("signed_at", sa.BigInteger(), nullable=True),
        sa.Column("feedback", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _step_2() -> None:
    op.create_table(
        "roll_call_bulletins",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("issue", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("published_by", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("year", "issue", "version", name="roll_call_bulletins_number"),
    )
    op.create_index(op.f("ix_roll_call_bulletins_roll_call_id"), "roll_call_bulletins", ["roll_call_id"], unique=False)


def _step_3() -> None:
    op.create_table(
        "roll_call_objections",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("noted_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_roll_call_objections_roll_call_id"), "roll_call_objections", ["roll_call_id"], unique=False
    )


def _step_4() -> None:
    op.create_table(
        "roll_call_receipts",
        sa.Column("bulletin_id", sa.String(length=26), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("way", sa.String(length=8), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("stored_at", sa.BigInteger(), nullable=True),
        sa.Column("signed_by", sa.String(length=64), nullable=True),
        sa.Column("signed_at", sa.BigInteger(), nullable=True),
        sa.Column("feedback", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bulletin_id", "centre"),
    )


def _step_5() -> None:
    op.create_table(
        "roll_call_results",
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("objection_id", sa.String(length=26), nullable=True),
        sa.Column("objected_by", sa.String(length=64), nullable=True),
        sa.Column("objected_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("roll_call_id"),
    )


def _step_6() -> None:
    op.create_table(
        "roll_call_reviews",
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("reviewed_by", sa.String(length=64), nullable=False),
        sa.Column("reviewed_at", sa.BigInteger(), nullable=False),
        sa.Column("objections_until", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("waived_by", sa.String(length=64), nullable=True),
        sa.Column("waived_why", sa.Text(), nullable=True),
        sa.Column("archived_by", sa.String(length=64), nullable=True),
        sa.Column("archived_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("roll_call_id"),
    )
