"""Tables of links, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "links_0001"
down_revision = None
branch_labels = ("links",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()
    _step_2()
    _step_3()
    _step_4()
    _step_5()


def _step_1() -> None:
    op.create_table(
        "commands",
        sa.Column("command_id", sa.String(length=26), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("args", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reply", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("command_id"),
    )
    op.create_index("commands_open", "commands", ["deadline"], unique=False)


def _step_2() -> None:
    op.create_table(
        "events",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("origincounter", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("source", "id"),
        sqlite_with_rowid=False,
    )


def _step_3() -> None:
    op.create_table(
        "gaps",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.String(length=26), nullable=False),
        sa.Column("lane", sa.String(length=16), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _step_4() -> None:
    op.create_table(
        "inbox",
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.String(length=26), nullable=False),
        sa.Column("lane", sa.String(length=16), nullable=False),
        sa.Column("held", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", "epoch", "lane"),
    )


def _step_5() -> None:
    op.create_table(
        "link_log",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
