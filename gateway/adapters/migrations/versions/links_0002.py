"""Tables of links, revision 2: on PostgreSQL, events and the history of links are parted by month."""

from gateway.adapters.migrations.months import part_by_month, sort_by_bytes

revision = "links_0002"
down_revision = "links_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    sort_by_bytes("events", "id", 26)
    part_by_month("events", "id", key=("source", "id"))
    part_by_month("link_log", "at", key=("number", "at"), number="number")
