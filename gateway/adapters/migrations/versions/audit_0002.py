"""Tables of audit, revision 2: on PostgreSQL, parted by month, and append-only by triggers as on SQLite."""

from alembic import op

from gateway.adapters.migrations.months import on_postgresql, part_by_month

revision = "audit_0002"
down_revision = "audit_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    part_by_month("audit", "at", key=("seq", "at"))
    if on_postgresql():
        op.execute(
            "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'integrity_constraint_violation'; "
            "END $$"
        )
        for name, deed, each in (("row", "UPDATE OR DELETE", "ROW"), ("all", "TRUNCATE", "STATEMENT")):
            op.execute(
                f"CREATE TRIGGER audit_no_{name} BEFORE {deed} ON audit "
                f"FOR EACH {each} EXECUTE FUNCTION audit_append_only()"
            )
