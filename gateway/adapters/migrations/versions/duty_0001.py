"""Tables of duty, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "duty_0001"
down_revision = None
branch_labels = ("duty",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()
    _step_2()
    _step_3()
    _step_4()
    _step_5()
    _step_6()
    _step_7()
    _step_8()


def _step_1() -> None:
    op.create_table(
        "duty_current",
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("origincounter", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("centre"),
    )


def _step_2() -> None:
    op.create_table(
        "duty_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "version"),
    )


def _step_3() -> None:
    op.create_table(
        "duty_gaps",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("alarm", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )


def _step_4() -> None:
    op.create_table(
        "duty_handovers",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("given_by", sa.String(length=64), nullable=False),
        sa.Column("taken_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_duty_handovers_at"), "duty_handovers", ["at"], unique=False)


def _step_5() -> None:
    op.create_table(
        "duty_people",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("post", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("phones", sa.JSON(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def _step_6() -> None:
    op.create_table(
        "duty_plan",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )


def _step_7() -> None:
    op.create_table(
        "duty_presence",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("person", sa.String(length=26), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("shift", sa.String(length=16), nullable=False),
        sa.Column("in_at", sa.BigInteger(), nullable=False),
        sa.Column("out_at", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_duty_presence_person"), "duty_presence", ["person"], unique=False)


def _step_8() -> None:
    op.create_table(
        "duty_swaps",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("shift", sa.String(length=16), nullable=False),
        sa.Column("out_person", sa.String(length=26), nullable=False),
        sa.Column("in_person", sa.String(length=26), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_duty_swaps_state"), "duty_swaps", ["state"], unique=False)
