"""Tables of alarms, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "alarms_0001"
down_revision = None
branch_labels = ("alarms",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()
    _step_2()
    _step_3()
    _step_4()


def _step_1() -> None:
    op.create_table(
        "alarm_acknowledgements",
        sa.Column("event_id", sa.String(length=26), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("alarm_key", sa.String(length=128), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("alarm_acknowledgements_of", "alarm_acknowledgements", ["source", "alarm_key"], unique=False)


def _step_2() -> None:
    op.create_table(
        "alarm_log",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=26), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("alarm_source", sa.String(length=32), nullable=False),
        sa.Column("alarm_key", sa.String(length=128), nullable=False),
        sa.Column("origincounter", sa.BigInteger(), nullable=False),
        sa.Column("condition", sa.String(length=8), nullable=True),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("hops", sa.JSON(), nullable=False),
        sa.Column("raises", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("source", "event_id", name="alarm_log_identity"),
    )


def _step_3() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("alarm_key", sa.String(length=128), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("condition", sa.String(length=8), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.Column("first_raised_at", sa.BigInteger(), nullable=False),
        sa.Column("last_observed_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("raises", sa.Integer(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("ack_by", sa.String(length=64), nullable=True),
        sa.Column("ack_at", sa.BigInteger(), nullable=True),
        sa.Column("ack_centre", sa.String(length=6), nullable=True),
        sa.Column("ack_upto", sa.BigInteger(), nullable=True),
        sa.Column("ack_note", sa.Text(), nullable=True),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source", "alarm_key", name="alarms_identity"),
    )
    op.create_index("alarms_by_time", "alarms", ["first_raised_at", "id"], unique=False)
    op.create_index("alarms_list", "alarms", ["condition", "first_raised_at", "id"], unique=False)


def _step_4() -> None:
    op.create_table(
        "cap_messages",
        sa.Column("sender", sa.String(length=256), nullable=False),
        sa.Column("identifier", sa.String(length=256), nullable=False),
        sa.Column("root", sa.String(length=256), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("centres", sa.JSON(), nullable=False),
        sa.Column("event_ids", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "identifier"),
    )
    op.create_index("cap_roots", "cap_messages", ["sender", "root", "sent"], unique=False)
