"""Tables of alarms, revision 2."""

import sqlalchemy as sa
from alembic import op

revision = "alarms_0002"
down_revision = "alarms_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()


def _step_1() -> None:
    op.add_column("alarms", sa.Column("shelf_by", sa.String(length=64), nullable=True))
    op.add_column("alarms", sa.Column("shelf_at", sa.BigInteger(), nullable=True))
    op.add_column("alarms", sa.Column("shelf_until", sa.BigInteger(), nullable=True))
    op.add_column("alarms", sa.Column("shelf_reason", sa.Text(), nullable=True))
    op.add_column("alarms", sa.Column("shelf_severity", sa.SmallInteger(), nullable=True))
    op.add_column("alarms", sa.Column("openings", sa.JSON(), nullable=True))
    op.create_index("alarms_shelved", "alarms", ["shelf_until"], unique=False)
