"""Table of the media room: one row per voice that is muted for everybody at this centre."""

from sqlalchemy import Column, String, Table

from gateway.ports.store import METADATA, UtcTime

MUTES = Table(
    "muted_voices",
    METADATA,
    Column("stream", String(80), primary_key=True),
    Column("muted_by", String(64), nullable=False),
    Column("muted_at", UtcTime, nullable=False),
)
"""The stream's name (`320623/room`) is what a camera keeps over restarts of all sides; a row ends as `Lasting` says."""
