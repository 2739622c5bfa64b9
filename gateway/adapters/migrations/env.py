"""Run by alembic: one transaction per revision on a SQLite file, one for all of them on a connection that was given."""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool


def _run(connection: Connection, *, each: bool) -> None:
    context.configure(connection=connection, transaction_per_migration=each, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given, each=False)
else:
    engine = create_engine(f"sqlite:///{context.config.attributes['path']}", poolclass=NullPool)
    with engine.connect() as opened:
        _run(opened, each=True)
    engine.dispose()
