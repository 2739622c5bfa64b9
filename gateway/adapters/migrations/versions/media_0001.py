"""Tables of media, revision 1."""

import sqlalchemy as sa
from alembic import op

revision = "media_0001"
down_revision = None
branch_labels = ("media",)
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()


def _step_1() -> None:
    op.create_table(
        "muted_voices",
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("muted_by", sa.String(length=64), nullable=False),
        sa.Column("muted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stream"),
    )
