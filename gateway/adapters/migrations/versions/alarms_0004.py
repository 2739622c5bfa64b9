"""Tables of alarms, revision 4: on PostgreSQL, the log is parted by month."""

from alembic import op

from gateway.adapters.migrations.months import on_postgresql, part_by_month, sort_by_bytes

revision = "alarms_0004"
down_revision = "alarms_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    sort_by_bytes("alarm_log", "event_id", 26)
    part_by_month("alarm_log", "event_id", key=("number", "event_id"), number="number")
    if on_postgresql():
        op.execute("ALTER TABLE alarm_log ADD CONSTRAINT alarm_log_identity UNIQUE (source, event_id)")
