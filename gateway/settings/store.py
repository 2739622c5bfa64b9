"""Settings of the database."""

from pathlib import Path

from pydantic import Field

from gateway.settings.base import Section


class StoreSection(Section):
    """The database (数据库). Without url it is a SQLite file under state.dir; several replicas need PostgreSQL."""

    url: str | None = Field(
        default=None,
        repr=False,
        pattern=r"^postgresql://\S+$",
        description="PostgreSQL 15 or later: postgresql://silian@db.example/silian, or "
        "postgresql:///silian?host=/run/postgresql for a local socket. Beyond this machine TLS is always used.",
    )
    password_file: Path | None = Field(
        default=None, description="File with the password; do not write it into url, which others may read."
    )
    authority: Path | None = Field(
        default=None, description="PEM file of the authority behind the server's certificate; default: the system's."
    )
