"""Tables of rollcall, revision 7: when the newest ring of a point began."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0007"
down_revision = "rollcall_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.add_column("roll_call_points", sa.Column("ring_at", sa.BigInteger(), nullable=True))
