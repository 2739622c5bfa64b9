"""Tables of alarms, revision 5."""

import sqlalchemy as sa
from alembic import op

revision = "alarms_0005"
down_revision = "alarms_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.add_column("alarms", sa.Column("behind", sa.String(length=32), nullable=True))
