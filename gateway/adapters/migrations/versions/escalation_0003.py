"""Tables of escalation, revision 3."""

import sqlalchemy as sa
from alembic import op

revision = "escalation_0003"
down_revision = "escalation_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()


def _step_1() -> None:
    op.create_table(
        "escalation_clock_marks",
        sa.Column("boot", sa.String(length=36), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("boot"),
    )
