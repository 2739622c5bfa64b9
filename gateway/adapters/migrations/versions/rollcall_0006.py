"""Tables of rollcall, revision 6: when a higher tier asked a point itself."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0006"
down_revision = "rollcall_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.add_column("roll_call_points", sa.Column("holds", sa.JSON(), nullable=True))
