"""Tables of rollcall, revision 3: evidence, and what nodes observed while they were cut off."""

import sqlalchemy as sa
from alembic import op

revision = "rollcall_0003"
down_revision = "rollcall_0002"
branch_labels = None
depends_on = None
_SAID = "evidence of roll calls is append-only"


def upgrade() -> None:
    """Bring the schema forward; there is no way back but a backup."""
    _step_1()
    _append_only()


def _step_1() -> None:
    op.create_table(
        "roll_call_evidence",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("roll_call_id", sa.String(length=26), nullable=False),
        sa.Column("centre", sa.String(length=6), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=64), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("roll_call_evidence_of", "roll_call_evidence", ["roll_call_id", "centre"], unique=False)
    op.create_index("roll_call_evidence_age", "roll_call_evidence", ["at"], unique=False)
    op.create_table(
        "roll_call_node_records",
        sa.Column("event_id", sa.String(length=26), nullable=False),
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("weighed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("roll_call_node_records_of", "roll_call_node_records", ["node", "began_at"], unique=False)


def _append_only() -> None:
    # Not a lock against who owns the database, but against every mistake and every statement of this program.
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER roll_call_evidence_no_{deed.lower()} BEFORE {deed} ON roll_call_evidence "
                f"BEGIN SELECT RAISE(ABORT, '{_SAID}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION roll_call_evidence_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_SAID}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER roll_call_evidence_no_change BEFORE UPDATE OR DELETE ON roll_call_evidence "
        "FOR EACH ROW EXECUTE FUNCTION roll_call_evidence_append_only()"
    )
