"""Tables of escalation, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "escalation_0001"
down_revision = None
branch_labels = ("escalation",)
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
        "escalation_chains",
        sa.Column("version", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )


def _step_2() -> None:
    op.create_table(
        "escalation_lines",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("alarm_id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_escalation_lines_alarm_id"), "escalation_lines", ["alarm_id"], unique=False)


def _step_3() -> None:
    op.create_table(
        "escalation_noticed",
        sa.Column("notice_id", sa.String(length=26), nullable=False),
        sa.Column("alarm_id", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", "alarm_id"),
    )
    op.create_index("escalation_noticed_alarm", "escalation_noticed", ["alarm_id"], unique=False)


def _step_4() -> None:
    op.create_table(
        "escalation_notices",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("bundle", sa.String(length=256), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=512), nullable=True),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("said_by", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("escalation_notices_bundle", "escalation_notices", ["bundle", "state"], unique=False)


def _step_5() -> None:
    op.create_table(
        "escalation_runs",
        sa.Column("alarm_id", sa.String(length=26), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("handed", sa.Boolean(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("upward_done", sa.Boolean(), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("kept_due", sa.BigInteger(), nullable=True),
        sa.Column("before", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("alarm_id"),
    )


def _step_6() -> None:
    op.create_table(
        "escalation_timers",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=26), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    op.create_index("escalation_timers_due", "escalation_timers", ["due_at"], unique=False)
