"""Tables of warning, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "warning_0001"
down_revision = None
branch_labels = ("warning",)
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
        "warning_call_lists",
        sa.Column("version", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )


def _step_2() -> None:
    op.create_table(
        "warning_calls",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("warning_id", sa.String(length=26), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("chain", sa.JSON(), nullable=False),
        sa.Column("neighbour", sa.JSON(), nullable=True),
        sa.Column("persons", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_by", sa.String(length=64), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("way", sa.String(length=16), nullable=True),
        sa.Column("noted_by", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_warning_calls_warning_id"), "warning_calls", ["warning_id"], unique=False)


def _step_3() -> None:
    op.create_table(
        "warning_keys",
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node"),
    )


def _step_4() -> None:
    op.create_table(
        "warning_lines",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("warning_id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_warning_lines_warning_id"), "warning_lines", ["warning_id"], unique=False)


def _step_5() -> None:
    op.create_table(
        "warning_runs",
        sa.Column("warning_id", sa.String(length=26), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("offered_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("within_s", sa.Integer(), nullable=False),
        sa.Column("list_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("warning_id"),
    )


def _step_6() -> None:
    op.create_table(
        "warnings",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("identifier", sa.String(length=256), nullable=False),
        sa.Column("sender", sa.String(length=256), nullable=False),
        sa.Column("unit", sa.String(length=256), nullable=False),
        sa.Column("root", sa.String(length=256), nullable=False),
        sa.Column("replaces", sa.String(length=26), nullable=True),
        sa.Column("colour", sa.SmallInteger(), nullable=False),
        sa.Column("event_code", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=128), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("centres", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("authors", sa.JSON(), nullable=False),
        sa.Column("reviewed_by", sa.String(length=64), nullable=True),
        sa.Column("signed_by", sa.String(length=64), nullable=True),
        sa.Column("dispatched_at", sa.BigInteger(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_warnings_state"), "warnings", ["state"], unique=False)
    op.create_index("warnings_chain", "warnings", ["sender", "root"], unique=False)
