"""Tables of rollcall, revision 8: what the order of a call rests on."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0008"
down_revision = "rollcall_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.add_column("roll_calls", sa.Column("ordered", sa.JSON(), nullable=True))
