"""Tables of alarms, revision 3."""

import sqlalchemy as sa
from alembic import op

revision = "alarms_0003"
down_revision = "alarms_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()


def _step_1() -> None:
    op.create_table(
        "alarm_words",
        sa.Column("event_id", sa.String(length=26), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("alarm_key", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("alarm_words_of", "alarm_words", ["source", "alarm_key"], unique=False)
    op.add_column("alarms", sa.Column("reopened_at", sa.BigInteger(), nullable=True))
    op.add_column("alarms", sa.Column("escalated_at", sa.BigInteger(), nullable=True))
    op.add_column("alarms", sa.Column("escalated", sa.JSON(), nullable=True))
