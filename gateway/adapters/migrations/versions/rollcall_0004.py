"""Tables of rollcall, revision 4: the times in which a call stood still."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0004"
down_revision = "rollcall_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.add_column("roll_calls", sa.Column("holds", sa.JSON(), nullable=True))
