"""Tables of rollcall, revision 10: on whose behalf a call is run."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0010"
down_revision = "rollcall_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    op.add_column("roll_calls", sa.Column("root_centre", sa.String(length=6), nullable=True))
