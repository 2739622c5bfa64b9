"""Tables of rollcall, revision 2."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0002"
down_revision = "rollcall_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()
    _step_2()
    _step_3()
    _step_4()


def _step_1() -> None:
    op.add_column("roll_calls", sa.Column("mode", sa.String(length=16), nullable=True))
    op.add_column("roll_calls", sa.Column("profile", sa.String(length=32), nullable=True))
    op.add_column("roll_calls", sa.Column("profile_version", sa.Integer(), nullable=True))
    op.add_column("roll_calls", sa.Column("rules", sa.JSON(), nullable=True))
    op.add_column("roll_calls", sa.Column("planned_at", sa.BigInteger(), nullable=True))
    op.add_column("roll_calls", sa.Column("schedule_id", sa.String(length=26), nullable=True))
    op.add_column("roll_calls", sa.Column("draw", sa.JSON(), nullable=True))
    op.add_column("roll_calls", sa.Column("trigger", sa.JSON(), nullable=True))
    op.add_column("roll_calls", sa.Column("upper_id", sa.String(length=26), nullable=True))
    op.add_column("roll_calls", sa.Column("upper_node", sa.String(length=32), nullable=True))
    op.add_column("roll_calls", sa.Column("makeup_of", sa.String(length=26), nullable=True))
    op.add_column("roll_calls", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("roll_calls", sa.Column("stage", sa.String(length=6), nullable=True))
    op.add_column("roll_calls", sa.Column("upcoming", sa.String(length=6), nullable=True))
    op.add_column("roll_calls", sa.Column("seat", sa.String(length=64), nullable=True))
    op.add_column("roll_calls", sa.Column("seat_at", sa.BigInteger(), nullable=True))
    op.create_index("roll_calls_planned", "roll_calls", ["schedule_id", "planned_at"], unique=True)
    op.create_index("roll_calls_upper", "roll_calls", ["upper_id"], unique=False)


def _step_2() -> None:
    op.add_column("roll_call_points", sa.Column("cause", sa.String(length=16), nullable=True))
    op.add_column("roll_call_points", sa.Column("checks", sa.JSON(), nullable=True))
    op.add_column("roll_call_points", sa.Column("score", sa.Float(), nullable=True))
    op.add_column("roll_call_points", sa.Column("revision", sa.Integer(), nullable=True))
    op.add_column("roll_call_points", sa.Column("decided_by", sa.String(length=64), nullable=True))
    op.add_column("roll_call_points", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("roll_call_points", sa.Column("makeup_at", sa.BigInteger(), nullable=True))
    op.add_column("roll_call_points", sa.Column("first_state", sa.String(length=24), nullable=True))
    op.add_column("roll_call_points", sa.Column("late", sa.Boolean(), nullable=True))
    op.add_column("roll_call_points", sa.Column("delegate", sa.String(length=32), nullable=True))
    op.add_column("roll_call_points", sa.Column("heard", sa.Integer(), nullable=True))
    op.add_column("roll_call_points", sa.Column("challenge", sa.String(length=8), nullable=True))
    op.add_column("roll_call_points", sa.Column("challenge_at", sa.BigInteger(), nullable=True))
    op.add_column("roll_call_points", sa.Column("answer", sa.JSON(), nullable=True))
    op.add_column("roll_call_points", sa.Column("precheck", sa.JSON(), nullable=True))
    op.add_column("roll_call_points", sa.Column("roster", sa.JSON(), nullable=True))


def _step_3() -> None:
    op.create_table(
        "roll_call_profiles",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "roll_call_revisions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("roll_call_revisions_of", "roll_call_revisions", ["roll_call_id", "centre"], unique=False)


def _step_4() -> None:
    op.create_table(
        "roll_call_schedules",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "roll_call_inspections",
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("by_centre", sa.String(length=6), nullable=False),
        sa.Column("centres", sa.JSON(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("roll_call_id"),
    )
