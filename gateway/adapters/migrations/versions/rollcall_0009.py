"""Tables of rollcall, revision 9: pictures of earlier calls."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0009"
down_revision = "rollcall_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.create_table(
        "roll_call_prints",
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("exact", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "exact"),
    )
